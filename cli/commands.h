// The commands. Each gives the exit code; results go to standard output, everything else to standard error.
#pragma once

#include "cli/exit_code.h"
#include "cli/options.h"

namespace pythreads::cli {

ExitCode run_dump(const Options& options);  // and graph, which is the same look shown in another way
ExitCode run_check(const Options& options);
ExitCode run_show(const Options& options);
ExitCode run_doctor(const Options& options);  // whether attaching would work, and what stands in its way

// What `main` does with a command line that can't be run, or needs no running.
ExitCode end_early(const EarlyEnd& end);

}  // namespace pythreads::cli

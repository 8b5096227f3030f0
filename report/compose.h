// From facts and findings to the document: joins what analysis says with what was read, numbers what needs
// numbers, makes all text valid UTF-8, and leaves out what was not asked for. The only place that makes a
// `Document` from a live look; renderers see nothing before it. Secrets (pyframes/redaction.h) were replaced
// when the snapshots were made.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "attach/process.h"
#include "report/analysis/findings.h"
#include "report/document.h"
#include "report/snapshot.h"

namespace pythreads::report {

// What only the program knows: itself, the machine, what was asked for, and what failed.
struct DocumentSource {
  std::string tool_version;
  attach::Host host;
  std::string kind = "live";  // live, core, recorded
  std::chrono::system_clock::time_point captured_at;
  double duration_ms = 0;                 // of the whole run
  std::vector<std::string> options;       // as given
  bool native = false;                    // --native: native frames, and native threads' stacks
  bool locals = false;                    // --locals
  bool leave_private_out = false;         // --private
  std::vector<document::Failure> errors;  // processes that could not be looked at
};

// `findings` are those of analyse(snapshots). With no snapshots at all the verdict is `unknown`.
Document compose(std::span<const Snapshot> snapshots, const Findings& findings, const DocumentSource& source);

// The entry of `looks` for one look at several processes; at least one.
document::Look look_of(std::span<const Snapshot> snapshots, const Findings& findings);

}  // namespace pythreads::report

# Completions for fish. What there is to complete, pythreads itself says (cli/completion.h).
function __pythreads_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    for line in ($words[1] __complete $words[2..-1] "$typed" 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path "$typed"
        else
            echo $line
        end
    end
end
complete -c pythreads -f -k -a '(__pythreads_complete)'

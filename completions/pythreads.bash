# Completions for bash. What there is to complete, pythreads itself says (cli/completion.h).
_pythreads() {
  local program=${COMP_WORDS[0]/#\~\//$HOME/} line word i widest=0
  local -a words=() described=()
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      compopt -o default
      continue
    fi
    word=${line%%$'\t'*}
    words+=("$word")
    described+=("${line:${#word}+1}")
    ((${#word} > widest)) && widest=${#word}
  done < <("$program" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  # What a word means is shown where words are listed, and never inserted: one word alone is; 37 and 42 are
  # menu-complete and insert-completions.
  if ((${#words[@]} < 2 || COMP_TYPE == 37 || COMP_TYPE == 42)); then
    COMPREPLY=("${words[@]}")
    return
  fi
  for ((i = 0; i < ${#words[@]}; ++i)); do
    if [[ ${described[i]} ]]; then
      printf -v line '%-*s  (%s)' "$widest" "${words[i]}" "${described[i]}"
      COMPREPLY+=("${line:0:${COLUMNS:-80}-2}")
    else
      COMPREPLY+=("${words[i]}")
    fi
  done
}
complete -F _pythreads pythreads

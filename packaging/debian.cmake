# Debian's zsh takes the completions of packages from a folder of its own (zsh's README.Debian).
set(zsh ${CPACK_TEMPORARY_DIRECTORY}/usr/share/zsh)
file(RENAME ${zsh}/site-functions ${zsh}/vendor-completions)
# Policy 4.4, 12.1, 12.5, 12.7: changes in Debian's format, these and the manual compressed; the texts of common licences
# are in base-files.
file(GLOB_RECURSE pages ${CPACK_TEMPORARY_DIRECTORY}/usr/share/man/*)
set(documents ${CPACK_TEMPORARY_DIRECTORY}/usr/share/doc/pythreads)
file(REMOVE ${documents}/LICENSE)
file(RENAME ${documents}/CHANGELOG.md ${documents}/NEWS)
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE ${documents}/changelog "pythreads (${CPACK_PACKAGE_VERSION}) unstable; urgency=medium\n\n"
  "  * What changed is told in NEWS.gz beside this file.\n\n -- ${CPACK_PACKAGE_CONTACT}  ${date}\n")
execute_process(COMMAND gzip -9n ${pages} ${documents}/changelog ${documents}/NEWS COMMAND_ERROR_IS_FATAL ANY)

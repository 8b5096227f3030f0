# Read by CPack before each kind of package: what Debian and rpm want of the installed tree otherwise than a plain prefix.
if(CPACK_GENERATOR STREQUAL "DEB")
  set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/debian.cmake)
endif()

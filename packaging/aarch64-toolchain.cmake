# Debian's cross compiler, and the libraries of an unpacked arm64 tree of the same suite (fetch-arm64 sysroot),
# whose folder PYTHREADS_SYSROOT is. Tests are listed by qemu-user, with that tree for their libraries.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

set(PYTHREADS_SYSROOT "" CACHE PATH "The unpacked tree")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES PYTHREADS_SYSROOT)  # which reads this file again
set(CMAKE_SYSROOT ${PYTHREADS_SYSROOT})
set(CMAKE_FIND_ROOT_PATH ${PYTHREADS_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${PYTHREADS_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} "${PYTHREADS_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${PYTHREADS_SYSROOT}/usr/share/pkgconfig")
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -L ${PYTHREADS_SYSROOT})

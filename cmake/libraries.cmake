# The libraries of design.md, as imported targets. Each is linked by the one folder that is its door.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET libssl libcrypto)
pkg_check_modules(PQ REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(BROTLI REQUIRED IMPORTED_TARGET libbrotlienc)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(MAGIC REQUIRED IMPORTED_TARGET libmagic)
pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(WEBPMUX REQUIRED IMPORTED_TARGET libwebpmux)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(JAVASCRIPTCORE REQUIRED IMPORTED_TARGET javascriptcoregtk-4.1)
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd)
if(STOA_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
  pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng) # tests make and compare images
  pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp)
  pkg_check_modules(JWT REQUIRED IMPORTED_TARGET libjwt) # a second opinion on tokens; docs/decisions.md
endif()
pkg_check_modules(PSL REQUIRED IMPORTED_TARGET libpsl)
pkg_check_modules(IDN2 REQUIRED IMPORTED_TARGET libidn2)
pkg_check_modules(ICU REQUIRED IMPORTED_TARGET icu-i18n) # which names look alike, hosts in URLs; JavaScriptCore brings it anyway
find_library(UNBOUND_LIBRARY unbound REQUIRED) # its .pc file asks for libevent, which only its event interface needs
find_library(DEFLATE_LIBRARY deflate REQUIRED)
find_library(UNISTRING_LIBRARY unistring REQUIRED) # no .pc file; bundles/paths.c, case folding
find_path(UNISTRING_INCLUDE_DIR unicase.h REQUIRED)

# Debian's libh2o-evloop.pc names neither its own define nor the libraries behind it (shared/libh2o.md §1).
pkg_check_modules(H2O REQUIRED IMPORTED_TARGET libh2o-evloop)
add_library(h2o_evloop INTERFACE)
target_compile_definitions(h2o_evloop INTERFACE H2O_USE_LIBUV=0 H2O_USE_EPOLL=1)
target_link_libraries(h2o_evloop INTERFACE PkgConfig::H2O PkgConfig::OPENSSL Threads::Threads)

# cmake --install (DESTDIR for a staging tree) and cpack -G DEB. The programs lie together in lib/stoa, for each looks for the caged ones
# beside itself; /usr/bin/stoa is a link.
if(NOT TARGET stoa OR NOT TARGET stoa-inspect OR NOT TARGET stoa-inspect-files OR NOT TARGET stoa-handler)
  return()
endif()
set(from ${CMAKE_CURRENT_LIST_DIR}/package)
install(TARGETS stoa stoa-inspect stoa-inspect-files stoa-handler stoa-one-session RUNTIME DESTINATION lib/stoa LIBRARY DESTINATION lib/stoa)
install(CODE "
  file(MAKE_DIRECTORY \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/bin\")
  file(CREATE_LINK ../lib/stoa/stoa \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/bin/stoa\" SYMBOLIC)")
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/stoa.1.gz COMMAND gzip -9nc ${CMAKE_SOURCE_DIR}/docs/stoa.1 > ${CMAKE_BINARY_DIR}/stoa.1.gz
                   DEPENDS docs/stoa.1)
add_custom_target(manual ALL DEPENDS ${CMAKE_BINARY_DIR}/stoa.1.gz)
install(FILES ${CMAKE_BINARY_DIR}/stoa.1.gz DESTINATION share/man/man1)
install(FILES docs/stoa.bash-completion DESTINATION share/bash-completion/completions RENAME stoa)
install(FILES README.md docs/security.md docs/decisions.md DESTINATION share/doc/stoa)
install(FILES ${from}/stoa.service DESTINATION lib/systemd/system)
install(FILES ${from}/sysusers.conf DESTINATION lib/sysusers.d RENAME stoa.conf)
install(FILES ${from}/stoa.yaml DESTINATION ${CMAKE_INSTALL_FULL_SYSCONFDIR}/stoa)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME stoa)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "Stoa maintainers <root@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "edge server for public apps")
set(CPACK_PACKAGE_DESCRIPTION "Serves apps deployed from .pie files and archives over HTTP/1.1, HTTP/2 and TLS,
 with a PostgreSQL of its own for its state. One program, one command.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION httpd)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# libmagic's database belongs to the version that stoa-inspect-files is linked with
file(STRINGS ${MAGIC_INCLUDEDIR}/magic.h magic_version REGEX "define[ \t]+MAGIC_VERSION")
string(REGEX REPLACE ".*MAGIC_VERSION[ \t]+([0-9]+).*" "\\1" magic_version "${magic_version}")
math(EXPR magic_major "${magic_version} / 100")
math(EXPR magic_minor "${magic_version} % 100")
math(EXPR magic_next "${magic_minor} + 1")
set(CPACK_DEBIAN_PACKAGE_DEPENDS "postgresql-15, dns-root-data, passwd, libmagic-mgc (>= 1:${magic_major}.${magic_minor}), libmagic-mgc (<< 1:${magic_major}.${magic_next})")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${from}/conffiles ${from}/postinst ${from}/prerm ${from}/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_STRIP_FILES ON)
# The configuration file has an absolute path.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
include(CPack)

# The private clusters are the supervisor's; they need no libpq, so they are not in stoa_store.
add_library(stoa_private_postgres STATIC ${CMAKE_CURRENT_LIST_DIR}/private_postgres.c
            ${CMAKE_CURRENT_LIST_DIR}/private_postgres_make.c ${CMAKE_CURRENT_LIST_DIR}/private_postgres_profile.c
            ${CMAKE_CURRENT_LIST_DIR}/private_postgres_watch.c)
target_link_libraries(stoa_private_postgres PUBLIC stoa_base)

# Loaded by the plugins' PostgreSQL, never by us: no sanitizer, nothing of ours.
add_library(stoa-one-session MODULE ${CMAKE_CURRENT_LIST_DIR}/one_session.c)
set_target_properties(stoa-one-session PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}
                      COMPILE_OPTIONS "-Wall;-Wextra;-Werror;-Wmissing-prototypes" LINK_OPTIONS "-Wl,-z,relro,-z,now")
add_dependencies(stoa_private_postgres stoa-one-session)

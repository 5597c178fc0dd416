# The private clusters are the supervisor's; they need no libpq, so they are not in stoa_store.
add_library(stoa_private_postgres STATIC ${CMAKE_CURRENT_LIST_DIR}/private_postgres.c
            ${CMAKE_CURRENT_LIST_DIR}/private_postgres_make.c ${CMAKE_CURRENT_LIST_DIR}/private_postgres_profile.c
            ${CMAKE_CURRENT_LIST_DIR}/private_postgres_watch.c)
target_link_libraries(stoa_private_postgres PUBLIC stoa_base)

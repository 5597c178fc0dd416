# The private cluster is the supervisor's; it needs no libpq, so it is not in stoa_store.
add_library(stoa_private_postgres STATIC ${CMAKE_CURRENT_LIST_DIR}/private_postgres.c
            ${CMAKE_CURRENT_LIST_DIR}/private_postgres_make.c)
target_link_libraries(stoa_private_postgres PUBLIC stoa_base)

# Hundreds of programs are linked for the sanitizers: gold takes a quarter of the time.
find_program(LD_GOLD ld.gold)
function(link_fast NAME)
  if(STOA_SANITIZE AND LD_GOLD)
    target_link_options(${NAME} PRIVATE -fuse-ld=gold)
  endif()
endfunction()

# stoa_unit_test(NAME source... LIBS lib...): one cmocka program, run by ctest with the label "unit".
function(stoa_unit_test NAME)
  cmake_parse_arguments(T "" "" "LIBS" ${ARGN})
  add_executable(${NAME} ${T_UNPARSED_ARGUMENTS})
  target_link_libraries(${NAME} PRIVATE ${T_LIBS} PkgConfig::CMOCKA)
  link_fast(${NAME})
  if(STOA_SANITIZE)
    target_compile_options(${NAME} PRIVATE -O0) # built once and run once: what it tests is optimized
  endif()
  set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/unit)
  add_test(NAME ${NAME} COMMAND ${NAME} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${NAME} PROPERTIES LABELS unit TIMEOUT 120)
endfunction()

# stoa_fuzz(NAME source... LIBS lib...): one libFuzzer program in the fuzz preset (clang); corpus in tests/fuzz/<NAME without fuzz_>/corpus.
# In the other presets the same file is built with tests/fuzz/replay.c, which runs the corpus once as a unit test; it has one thread, which
# TSan has nothing to say of.
add_custom_target(fuzzers)
function(stoa_fuzz NAME)
  cmake_parse_arguments(T "" "" "LIBS" ${ARGN})
  if(STOA_SANITIZE STREQUAL "thread")
    return()
  elseif(STOA_SANITIZE STREQUAL "fuzz")
    add_executable(${NAME} ${T_UNPARSED_ARGUMENTS})
    target_link_libraries(${NAME} PRIVATE ${T_LIBS} -fsanitize=fuzzer)
    set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
    add_dependencies(fuzzers ${NAME})
  else()
    add_executable(${NAME} ${T_UNPARSED_ARGUMENTS} ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.c)
    target_link_libraries(${NAME} PRIVATE ${T_LIBS})
    link_fast(${NAME})
    set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/unit)
    add_test(NAME ${NAME} COMMAND ${NAME} ${CMAKE_CURRENT_SOURCE_DIR}/corpus)
    set_tests_properties(${NAME} PROPERTIES LABELS unit TIMEOUT 120)
  endif()
endfunction()

# stoa_schema(TARGET FEATURE): compiles this folder's schema/*.sql into TARGET as FEATURE_migrations[] and FEATURE_migration_count
# (edge/store/migrate.h); a dash in FEATURE becomes an underscore there.
function(stoa_schema TARGET FEATURE)
  string(REPLACE "-" "_" prefix ${FEATURE})
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${prefix}_migrations.c)
  file(GLOB scripts CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/schema/*.sql)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DFEATURE=${FEATURE} -DPREFIX=${prefix} -DFOLDER=${CMAKE_CURRENT_SOURCE_DIR}/schema -DOUT=${out}
            -P ${CMAKE_SOURCE_DIR}/cmake/schema.cmake
    DEPENDS ${scripts} ${CMAKE_SOURCE_DIR}/cmake/schema.cmake
    VERBATIM)
  target_sources(${TARGET} PRIVATE ${out})
endfunction()

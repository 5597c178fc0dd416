# cmake -DFEATURE=… -DPREFIX=… -DFOLDER=… -DOUT=… -P schema.cmake: writes the folder's 001.sql, 002-why.sql … as one C file.
file(GLOB scripts RELATIVE ${FOLDER} ${FOLDER}/*.sql)
list(SORT scripts)
set(entries "")
set(expected 1)
foreach(script IN LISTS scripts)
  string(REGEX MATCH "^0*([1-9][0-9]*)" digits "${script}")
  if(NOT CMAKE_MATCH_1 STREQUAL "${expected}")
    message(FATAL_ERROR "${FOLDER}/${script}: the next migration must be number ${expected}")
  endif()
  file(READ ${FOLDER}/${script} text)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "\n" "\\n\"\n     \"" text "${text}")
  string(APPEND entries "    {\"${FEATURE}\", ${expected},\n     \"${text}\"},\n")
  math(EXPR expected "${expected} + 1")
endforeach()
file(WRITE ${OUT} "// Made from ${FEATURE}'s schema folder by cmake/schema.cmake.
#include \"edge/store/migrate.h\"

extern const struct migration ${PREFIX}_migrations[];
extern const size_t ${PREFIX}_migration_count;

const struct migration ${PREFIX}_migrations[] = {
${entries}};
const size_t ${PREFIX}_migration_count = sizeof ${PREFIX}_migrations / sizeof ${PREFIX}_migrations[0];
")

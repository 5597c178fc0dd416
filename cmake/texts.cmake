# cmake -DOUT=… -DHEADER=… -DTYPE=… -DNAME=… -DFOLDER=… -DFILES=a.js:b.js -P texts.cmake: writes text files as one C array NAME[] of
# struct TYPE {name, text}, in the given order, and NAME_count without its plural s.
string(REPLACE ":" ";" FILES "${FILES}")
string(REGEX REPLACE "s$" "" singular ${NAME})
set(entries "")
foreach(file IN LISTS FILES)
  file(READ ${FOLDER}/${file} text)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "?" "\\?" text "${text}") # no trigraphs
  string(REPLACE "\n" "\\n\"\n     \"" text "${text}")
  string(APPEND entries "    {\"stoa:${file}\",\n     \"${text}\"},\n")
endforeach()
file(WRITE ${OUT} "// Made from text files by cmake/texts.cmake.
#include \"${HEADER}\"

const struct ${TYPE} ${NAME}[] = {
${entries}};
const size_t ${singular}_count = sizeof ${NAME} / sizeof ${NAME}[0];
")

# SPDX-License-Identifier: Apache-2.0
# usage: cmake -DFOLDER=... -DOUT=... -P embed_template.cmake
# Writes the folder's files as one array of string literals.
file(GLOB paths RELATIVE ${FOLDER} ${FOLDER}/*)
list(SORT paths)
set(text "// Made of ${FOLDER} by embed_template.cmake.\nnamespace casemate::cli {\nextern const char* const kTemplateFiles[];\nconst char* const kTemplateFiles[] = {\n")
foreach(path ${paths})
  file(READ ${FOLDER}/${path} content)
  string(APPEND text "\"${path}\", R\"template(${content})template\",\n")
endforeach()
string(APPEND text "nullptr};\n}  // namespace casemate::cli\n")
file(WRITE ${OUT} "${text}")

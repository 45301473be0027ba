# SPDX-License-Identifier: Apache-2.0
# One static library a folder. deps.txt beside the sources is the one list of other folders that it may include: it is
# linked from here and compared with the #include lines by tools/check_layers.

add_library(casemate_flags INTERFACE)
target_compile_options(casemate_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnull-dereference
  $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast -Wnon-virtual-dtor -Woverloaded-virtual>
  # gcc 12 at -O3 takes a vector's insert for an overflow, a literal + std::string for a copy onto itself, and what a
  # variant does not hold for null or uninitialized.
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<NOT:$<CONFIG:Debug>>>:-Wno-stringop-overflow -Wno-stringop-overread -Wno-restrict
    -Wno-array-bounds -Wno-null-dereference -Wno-maybe-uninitialized>
  $<$<BOOL:${CASEMATE_WERROR}>:-Werror>
  -fstack-protector-strong
  # In a unity build every source is included by another file, which gcc takes for a header with internal types; and
  # with more in sight of one another its flow analysis warns of what cannot be.
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<BOOL:${CMAKE_UNITY_BUILD}>,$<COMPILE_LANGUAGE:CXX>>:-Wno-subobject-linkage -Wno-null-dereference>)
target_compile_definitions(casemate_flags INTERFACE
  $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)
target_link_options(casemate_flags INTERFACE -Wl,-z,relro,-z,now)
if(CASEMATE_FUZZ)
  # Without this in the libraries a fuzzer is blind: it sees no new path in them.
  target_compile_options(casemate_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(NOT CASEMATE_SANITIZE)
  target_compile_definitions(casemate_flags INTERFACE $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
else()
  target_compile_options(casemate_flags INTERFACE -fsanitize=${CASEMATE_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  # gcc's flow analysis loses track under the sanitizers and warns of what cannot be.
  target_compile_options(casemate_flags INTERFACE -Wno-null-dereference -Wno-maybe-uninitialized)
  target_link_options(casemate_flags INTERFACE -fsanitize=${CASEMATE_SANITIZE})
endif()

# casemate_library(NAME [THIRD_PARTY targets...]) makes casemate_NAME of this folder's *.cc, with / in nested names
# written as _, and NAME_test of its *_test.cc.
function(casemate_library name)
  cmake_parse_arguments(ARG "" "" "THIRD_PARTY;TEST_LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(sources)
    add_library(casemate_${name} STATIC ${sources})
    set(scope PUBLIC)
    target_link_libraries(casemate_${name} PRIVATE casemate_flags)
  else()
    add_library(casemate_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(casemate_${name} ${scope} ${PROJECT_SOURCE_DIR}/src)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/deps.txt)
  file(STRINGS ${CMAKE_CURRENT_SOURCE_DIR}/deps.txt deps REGEX "^[a-z]")
  foreach(dep ${deps})
    string(REPLACE "/" "_" dep ${dep})
    target_link_libraries(casemate_${name} ${scope} casemate_${dep})
  endforeach()
  if(ARG_THIRD_PARTY)
    target_link_libraries(casemate_${name} ${scope} ${ARG_THIRD_PARTY})
  endif()
  if(tests)
    add_executable(${name}_test ${tests})
    set_target_properties(${name}_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    target_link_libraries(${name}_test PRIVATE casemate_${name} casemate_flags GTest::gmock_main ${ARG_TEST_LIBRARIES})
    target_compile_definitions(${name}_test PRIVATE CASEMATE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR})
    add_test(NAME unit.${name} COMMAND ${name}_test --gtest_brief=1)
    set_tests_properties(unit.${name} PROPERTIES TIMEOUT 600)
  endif()
endfunction()

# casemate_app(NAME folders...) makes bin/NAME of NAME.cc and links casemate_FOLDER for each.
function(casemate_app name)
  string(REPLACE "-" "_" source ${name})
  add_executable(${name} ${source}.cc)
  add_dependencies(programs ${name})
  target_link_libraries(${name} PRIVATE casemate_flags)
  if(NOT CASEMATE_SANITIZE)
    # A shared one costs each start some 3 ms of symbols to look up.
    target_link_options(${name} PRIVATE -static-libstdc++ -static-libgcc)
  endif()
  foreach(dep ${ARGN})
    target_link_libraries(${name} PRIVATE casemate_${dep})
  endforeach()
endfunction()

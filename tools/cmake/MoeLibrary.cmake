# Small build rules shared by every folder.

# moe_add_library(NAME file... [LINK lib...] [DEPENDS target...])
# One static library of the compiler. Links MLIR and LLVM as the shared libraries of the distribution.
function(moe_add_library name)
  cmake_parse_arguments(ARG "NO_PCH" "" "LINK;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_compile_options(${name} PRIVATE -Wall -Wextra -Wno-unused-parameter -fno-exceptions)
  target_link_libraries(${name} PUBLIC ${ARG_LINK} MLIR LLVM)
  add_dependencies(${name} moe-headers ${ARG_DEPENDS})
  if(MOE_USE_PCH AND NOT ARG_NO_PCH)
    moe_reuse_pch(${name})
  endif()
endfunction()

# Lets a target use the header that MoePch precompiled. With clang under Ninja the header is named relative to the build
# folder, so that a compiler cache finds the same command in every checkout.
function(moe_reuse_pch name)
  if(NOT (CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_GENERATOR STREQUAL "Ninja"))
    target_precompile_headers(${name} REUSE_FROM MoePch)
    return()
  endif()
  set(pch lib/Support/CMakeFiles/MoePch.dir/cmake_pch.hxx.pch)
  target_compile_options(${name} PRIVATE -Winvalid-pch "SHELL:-Xclang -include-pch -Xclang ${pch}")
  get_target_property(sources ${name} SOURCES)
  set_property(SOURCE ${sources} APPEND PROPERTY OBJECT_DEPENDS ${CMAKE_BINARY_DIR}/${pch})
  add_dependencies(${name} MoePch)
endfunction()

# moe_tablegen(TD-file OUTPUT generator-flag...): one generated file, registered with the headers target.
macro(moe_tablegen td output)
  set(LLVM_TARGET_DEFINITIONS ${td})
  mlir_tablegen(${output} ${ARGN} EXTRA_INCLUDES ${CMAKE_SOURCE_DIR})
endmacro()

# moe_passes(PHASE): tablegens include/moe/PHASE/Passes.td into Passes.h.inc.
macro(moe_passes phase)
  set(LLVM_TARGET_DEFINITIONS ${CMAKE_CURRENT_SOURCE_DIR}/${phase}/Passes.td)
  mlir_tablegen(${phase}/Passes.h.inc -gen-pass-decls -name Moe${phase})
  add_public_tablegen_target(Moe${phase}PassIncGen)
  add_dependencies(moe-headers Moe${phase}PassIncGen)
endmacro()

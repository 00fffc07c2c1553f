# Commands, benchmarks and examples.

# A program that is linked with the static library: it works from wherever it is copied to.
function(gyre_program name)
    add_executable(${name} ${ARGN})
    target_link_libraries(${name} PRIVATE gyre_static gyre_flags gyre_inside)
    target_compile_options(${name} PRIVATE -Wframe-larger-than=${host_frame_bytes_max})
endfunction()

file(GLOB command_sources CONFIGURE_DEPENDS tools/gyre/*.c)
if(command_sources)
    gyre_program(gyre_command ${command_sources})
    set_target_properties(gyre_command PROPERTIES OUTPUT_NAME gyre)
endif()

# gyre-bench drives other engines too. Their headers are found here and their libraries loaded when
# one is asked for (bench/gyre_bench/peer.h): none is linked, and without one the rest works as
# ever.
file(GLOB bench_sources CONFIGURE_DEPENDS bench/gyre_bench/*.c)
if(bench_sources)
    gyre_program(gyre_bench ${bench_sources})
    set_target_properties(gyre_bench PROPERTIES OUTPUT_NAME gyre-bench)
    find_package(Threads REQUIRED)
    target_link_libraries(gyre_bench PRIVATE m ${CMAKE_DL_LIBS} Threads::Threads
        PkgConfig::GYRE_URING)
    target_compile_definitions(gyre_bench PRIVATE _GNU_SOURCE)
    if(GYRE_BENCH_PEERS)
        foreach(peer rocksdb leveldb lmdb)
            string(TOUPPER ${peer} PEER)
            set(header ${peer}/c.h)
            if(peer STREQUAL "lmdb")
                set(header lmdb.h)
            endif()
            find_library(GYRE_${PEER}_LIBRARY ${peer})
            find_path(GYRE_${PEER}_INCLUDE ${header})
            mark_as_advanced(GYRE_${PEER}_LIBRARY GYRE_${PEER}_INCLUDE)
            set(soname "")
            if(GYRE_${PEER}_LIBRARY AND GYRE_${PEER}_INCLUDE)
                execute_process(COMMAND ${CMAKE_OBJDUMP} -p ${GYRE_${PEER}_LIBRARY}
                    OUTPUT_VARIABLE soname ERROR_QUIET)
                string(REGEX MATCH "SONAME +[^\n]+" soname "${soname}")
                string(REGEX REPLACE "SONAME +" "" soname "${soname}")
            endif()
            if(soname)
                target_compile_definitions(gyre_bench PRIVATE GYRE_BENCH_${PEER}="${soname}")
                target_include_directories(gyre_bench SYSTEM PRIVATE ${GYRE_${PEER}_INCLUDE})
            else()
                message(STATUS "gyre-bench is built without ${peer}: its C library was not found")
            endif()
        endforeach()
    endif()
endif()

file(GLOB micro_sources CONFIGURE_DEPENDS bench/micro_*.c)
foreach(source ${micro_sources})
    get_filename_component(name ${source} NAME_WE)
    gyre_program(${name} ${source})
endforeach()

# Examples are built as a user builds them: the shared library and the public headers, nothing else.
# Those of the simulator (sim_*) take the static one, as it does.
# Hosts of other event loops link those: io_uring is there in any case, libuv where it is found.
file(GLOB example_sources CONFIGURE_DEPENDS examples/*.c)
pkg_check_modules(UV IMPORTED_TARGET libuv)
if(NOT UV_FOUND)
    list(FILTER example_sources EXCLUDE REGEX "/libuv_host\\.c$")
    message(STATUS "examples/libuv_host is not built: libuv was not found")
endif()
foreach(source ${example_sources})
    get_filename_component(name ${source} NAME_WE)
    add_executable(example_${name} ${source})
    set_target_properties(example_${name} PROPERTIES OUTPUT_NAME ${name}
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/examples)
    if(name MATCHES "^sim_")
        target_link_libraries(example_${name} PRIVATE gyre_sim gyre_flags)
        # And as a plug-in for the command gyre_sim, which has the library: linked with nothing.
        add_library(plugin_${name} MODULE ${source})
        set_target_properties(plugin_${name} PROPERTIES OUTPUT_NAME ${name} PREFIX ""
            LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/examples)
        target_include_directories(plugin_${name} PRIVATE ${PROJECT_SOURCE_DIR}/include)
    else()
        target_link_libraries(example_${name} PRIVATE gyre gyre_flags)
    endif()
    if(name MATCHES "^libuv_")
        target_link_libraries(example_${name} PRIVATE PkgConfig::UV)
    elseif(name MATCHES "^uring_")
        target_link_libraries(example_${name} PRIVATE PkgConfig::GYRE_URING)
    endif()
endforeach()

# The checker: the engine with the checker's marks (io/base/checked.h) on the simulated machine.
add_executable(gyre_sim_command tools/gyre_sim/main.c)
# All of the library and with its symbols, for the plug-ins of `gyre_sim run`.
set_target_properties(gyre_sim_command PROPERTIES OUTPUT_NAME gyre_sim ENABLE_EXPORTS ON
    LINK_LIBRARY_OVERRIDE "WHOLE_ARCHIVE,gyre_checked")
target_link_libraries(gyre_sim_command PRIVATE gyre_checker gyre_flags ${CMAKE_DL_LIBS})
target_compile_options(gyre_sim_command PRIVATE -Wframe-larger-than=${host_frame_bytes_max})

# Tests. A file is a test: tests/unit/test_x.c is the ctest `test_x`, tests/sim/sim_x.c is `sim_x`,
# and so on. Labels: unit sim crash fuzz example check consume.

pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

file(GLOB support_sources CONFIGURE_DEPENDS tests/support/*.c tests/model/*.c)
if(support_sources)
    add_library(gyre_test_support STATIC ${support_sources})
    target_link_libraries(gyre_test_support PRIVATE gyre_flags
        PUBLIC gyre_inside PkgConfig::CMOCKA)
else()
    add_library(gyre_test_support INTERFACE)
    target_link_libraries(gyre_test_support INTERFACE gyre_inside PkgConfig::CMOCKA)
endif()

# The static library, so that tests see internal functions.
function(gyre_test_program name)
    add_executable(${name} ${ARGN})
    target_compile_definitions(${name} PRIVATE GYRE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    target_compile_options(${name} PRIVATE -Wframe-larger-than=${host_frame_bytes_max})
    target_link_libraries(${name} PRIVATE gyre_flags gyre_test_support)
    if(TARGET gyre_sim)
        target_link_libraries(${name} PRIVATE gyre_sim)
    endif()
    target_link_libraries(${name} PRIVATE gyre_static)
endfunction()

# 77 is "skipped here", said loudly by the test itself.
function(gyre_test_properties name label)
    set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT 120 SKIP_RETURN_CODE 77
        ENVIRONMENT "UBSAN_OPTIONS=print_stacktrace=1")
endfunction()

foreach(kind unit sim)
    file(GLOB sources CONFIGURE_DEPENDS tests/${kind}/*.c)
    foreach(source ${sources})
        get_filename_component(name ${source} NAME_WE)
        gyre_test_program(${name} ${source})
        add_test(NAME ${name} COMMAND ${name})
        gyre_test_properties(${name} ${kind})
    endforeach()
endforeach()

# Programs that are killed, and the scripts that kill them: a script gets the folder of the programs.
file(GLOB crash_sources CONFIGURE_DEPENDS tests/crash/*.c)
foreach(source ${crash_sources})
    get_filename_component(name ${source} NAME_WE)
    gyre_test_program(${name} ${source})
endforeach()
file(GLOB crash_scripts CONFIGURE_DEPENDS tests/crash/*.sh)
foreach(script ${crash_scripts})
    get_filename_component(name ${script} NAME_WE)
    add_test(NAME ${name} COMMAND bash ${script} ${PROJECT_BINARY_DIR})
    gyre_test_properties(${name} crash)
endforeach()

# Tests. A file is a test: tests/unit/test_x.c is the ctest `test_x`, tests/sim/sim_x.c is `sim_x`,
# and so on. Labels: unit sim crash soak kernel cli fuzz example check consume.

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

file(GLOB unit_sources CONFIGURE_DEPENDS tests/unit/*.c)
foreach(source ${unit_sources})
    get_filename_component(name ${source} NAME_WE)
    gyre_test_program(${name} ${source})
    add_test(NAME ${name} COMMAND ${name})
    gyre_test_properties(${name} unit)
endforeach()

# Stores on the simulated machine: on the model and the runs of the checker.
file(GLOB sim_sources CONFIGURE_DEPENDS tests/sim/sim_*.c)
file(GLOB sim_kit_sources CONFIGURE_DEPENDS tests/sim/*_kit.c)
add_library(gyre_sim_kit STATIC ${sim_kit_sources})
target_link_libraries(gyre_sim_kit PRIVATE gyre_flags PUBLIC gyre_checker)
foreach(source ${sim_sources})
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    target_link_libraries(${name} PRIVATE gyre_flags gyre_sim_kit)
    add_test(NAME ${name} COMMAND ${name})
    gyre_test_properties(${name} sim)
    # a minute and a half with sanitizers on a busy machine
    set_tests_properties(${name} PROPERTIES TIMEOUT 400)
endforeach()

# The checker: some seeds with every build (tools/check runs thousands), those that failed once, and
# the command itself. The plug-in is the example's.
if(TARGET gyre_sim_command)
    add_test(NAME seeds COMMAND gyre_sim_command --seeds 300 --hang 300)
    add_test(NAME seeds_that_failed
        COMMAND gyre_sim_command --corpus ${PROJECT_SOURCE_DIR}/tests/sim/seeds.txt --hang 300)
    set(checker_tests seeds seeds_that_failed)
    add_test(NAME gyre_sim_command COMMAND bash ${PROJECT_SOURCE_DIR}/tests/sim/gyre_sim.sh
        $<TARGET_FILE:gyre_sim_command> ${PROJECT_BINARY_DIR}/examples)
    list(APPEND checker_tests gyre_sim_command)
    foreach(name ${checker_tests})
        gyre_test_properties(${name} sim)
        set_tests_properties(${name} PROPERTIES TIMEOUT 400)
    endforeach()
    if(GYRE_SANITIZE)
        set_property(TEST gyre_sim_command APPEND PROPERTY ENVIRONMENT GYRE_TEST_SLOW=1)
    endif()
endif()

# gyre-bench is a program, not a library: what is tested of it is compiled into the test.
if(TARGET test_bench_histogram)
    target_sources(test_bench_histogram PRIVATE bench/gyre_bench/histogram.c)
    target_link_libraries(test_bench_histogram PRIVATE m)
endif()
if(TARGET test_bench_distribution)
    target_sources(test_bench_distribution PRIVATE bench/gyre_bench/distribution.c
        bench/gyre_bench/keys.c bench/gyre_bench/numbers.c bench/gyre_bench/sizes.c)
    target_link_libraries(test_bench_distribution PRIVATE m PkgConfig::GYRE_ZSTD)
endif()

# The other side of the differential test; without it the test says that it is skipped.
find_library(GYRE_LEVELDB leveldb)
mark_as_advanced(GYRE_LEVELDB)
if(TARGET test_against_leveldb AND GYRE_LEVELDB)
    target_link_libraries(test_against_leveldb PRIVATE ${GYRE_LEVELDB})
endif()

# Programs that are killed, and the scripts that kill them, which get the folder of the programs.
file(GLOB crash_sources CONFIGURE_DEPENDS tests/crash/*.c)
foreach(source ${crash_sources})
    get_filename_component(name ${source} NAME_WE)
    gyre_test_program(${name} ${source})
endforeach()
# Longer: SOAK_SECONDS=3600 build/release/soak. ASan keeps up to 256 MiB of freed memory, which
# would be all that the test sees grow: there it keeps 4.
if(TARGET soak)
    add_test(NAME soak COMMAND soak)
    gyre_test_properties(soak soak)
    if(GYRE_SANITIZE)
        set_property(TEST soak APPEND PROPERTY
            ENVIRONMENT ASAN_OPTIONS=quarantine_size_mb=4:thread_local_quarantine_size_kb=64)
    endif()
endif()
file(GLOB crash_scripts CONFIGURE_DEPENDS tests/crash/*.sh)
foreach(script ${crash_scripts})
    get_filename_component(name ${script} NAME_WE)
    add_test(NAME ${name} COMMAND bash ${script} ${PROJECT_BINARY_DIR})
    gyre_test_properties(${name} crash)
endforeach()

# Real file systems, and faults below them: programs that scripts put together. The FUSE servers are
# built where libfuse is; without them the scripts that need one say so and skip.
pkg_check_modules(FUSE3 IMPORTED_TARGET fuse3)
gyre_test_program(witness tests/kernel/witness.c tests/kernel/witness_write.c
    tests/kernel/witness_check.c tests/kernel/ledger.c)
gyre_test_program(openers tests/kernel/openers.c)
gyre_test_program(memory_load tests/kernel/memory_load.c)
set(kernel_programs cut_image)
if(FUSE3_FOUND)
    list(APPEND kernel_programs log_disk fault_fs)
endif()
foreach(name ${kernel_programs})
    add_executable(${name} tests/kernel/${name}.c)
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
    target_link_libraries(${name} PRIVATE gyre_flags $<TARGET_NAME_IF_EXISTS:PkgConfig::FUSE3>)
endforeach()
# They look at the kernel, not at the compiler: one build is enough to run them.
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND GYRE_SWITCH STREQUAL "auto"
        AND NOT GYRE_SANITIZE AND NOT GYRE_COVERAGE)
    file(GLOB kernel_scripts CONFIGURE_DEPENDS tests/kernel/kernel_*.sh)
    foreach(script ${kernel_scripts})
        get_filename_component(name ${script} NAME_WE)
        add_test(NAME ${name} COMMAND bash ${script} ${PROJECT_BINARY_DIR})
        gyre_test_properties(${name} kernel)
    endforeach()
endif()

# The `gyre` command: a script gets its path.
if(TARGET gyre_command)
    file(GLOB cli_scripts CONFIGURE_DEPENDS tests/cli/test_*.sh)
    foreach(script ${cli_scripts})
        get_filename_component(name ${script} NAME_WE)
        add_test(NAME ${name} COMMAND bash ${script} $<TARGET_FILE:gyre_command>)
        gyre_test_properties(${name} cli)
        if(name MATCHES "_bench")
            set_tests_properties(${name} PROPERTIES TIMEOUT 400) # many runs, some of seconds
            if(GYRE_SANITIZE OR GYRE_COVERAGE)
                set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT GYRE_TEST_SLOW=1)
            endif()
        endif()
    endforeach()
endif()

# Fuzz targets. With GYRE_FUZZ libFuzzer drives them for a while; else a small main replays the
# corpus and some thousand fixed mutations of it, so that every compiler and sanitizer sees them.
set(GYRE_FUZZ_SECONDS 5 CACHE STRING "How long ctest lets each libFuzzer target run.")
# They link the checker's build of the library, where checksums can be believed (codec/checksum.h).
file(GLOB fuzz_sources CONFIGURE_DEPENDS tests/fuzz/fuzz_*.c)
set(whole_path_targets "store|log|manifest|options|api")
file(GLOB fuzz_rig_sources CONFIGURE_DEPENDS tests/fuzz/rig_*.c)
add_library(gyre_fuzz_rig STATIC ${fuzz_rig_sources})
target_link_libraries(gyre_fuzz_rig PRIVATE gyre_flags PUBLIC gyre_checked)
if(GYRE_FUZZ) # coverage is for what reads the input, not for the machine below it: half the time
    set_source_files_properties(${gyre_sim_sources} ${fuzz_rig_sources}
        engine/codec/checksum.c engine/disk/table_salvage.c
        PROPERTIES COMPILE_OPTIONS -fno-sanitize=fuzzer-no-link)
endif()
function(gyre_fuzz_program name)
    add_executable(${name} ${ARGN})
    target_link_libraries(${name} PRIVATE gyre_flags gyre_fuzz_rig)
endfunction()
foreach(source ${fuzz_sources})
    get_filename_component(name ${source} NAME_WE)
    set(corpus ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
    if(NOT IS_DIRECTORY ${corpus})
        set(corpus "")
    endif()
    if(GYRE_FUZZ)
        gyre_fuzz_program(${name} ${source})
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
        set(found ${PROJECT_BINARY_DIR}/fuzz/${name}) # new inputs go here, never into the source
        file(MAKE_DIRECTORY ${found})
        set(whole_path_flags "")
        if(name MATCHES "^fuzz_(${whole_path_targets})$") # too slow for inputs that grow by and by
            set(whole_path_flags -len_control=0 -max_len=500)
        endif()
        add_test(NAME ${name} WORKING_DIRECTORY ${found}
            COMMAND ${name} -max_total_time=${GYRE_FUZZ_SECONDS} -timeout=5 -rss_limit_mb=1024
                -malloc_limit_mb=256 -error_exitcode=1 # its default, 77, would be a skip
                -print_final_stats=1 -verbosity=0 ${whole_path_flags} ${found}
                ${corpus})
    else()
        gyre_fuzz_program(${name} ${source} tests/fuzz/replay_main.c)
        # those of whole stores run an engine for each input
        set(mutations 5000)
        if(name MATCHES "^fuzz_(${whole_path_targets})$")
            set(mutations 50)
        endif()
        add_test(NAME ${name} COMMAND ${name} --mutations ${mutations} ${corpus})
        if(name STREQUAL "fuzz_block") # the bug that fuzzing is there for: lengths that wrap
            add_test(NAME fuzz_finds_mutant_23
                COMMAND bash -c "! \"$0\" --mutant 23 \"$1\"" $<TARGET_FILE:${name}> ${corpus})
            gyre_test_properties(fuzz_finds_mutant_23 fuzz)
        endif()
    endif()
    # The fuzzer's entry point is declared nowhere. (Options of a source come last.)
    set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS -Wno-missing-prototypes)
    gyre_test_properties(${name} fuzz)
endforeach()

# Examples run in an empty folder of their own; a server has a client that tests it.
if(GYRE_PROGRAMS)
    foreach(source ${example_sources})
        get_filename_component(name ${source} NAME_WE)
        if(EXISTS ${PROJECT_SOURCE_DIR}/tests/examples/test_${name}.py)
            add_test(NAME example_${name} COMMAND python3
                ${PROJECT_SOURCE_DIR}/tests/examples/test_${name}.py
                $<TARGET_FILE:example_${name}>)
            gyre_test_properties(example_${name} example)
            set_tests_properties(example_${name} PROPERTIES TIMEOUT 400) # waits for the device
            continue()
        endif()
        add_test(NAME example_${name} COMMAND bash
            ${PROJECT_SOURCE_DIR}/tests/checks/in_new_folder.sh $<TARGET_FILE:example_${name}>)
        gyre_test_properties(example_${name} example)
    endforeach()
    add_test(NAME example_sim_bank_bug COMMAND bash
        ${PROJECT_SOURCE_DIR}/tests/checks/in_new_folder.sh $<TARGET_FILE:example_sim_bank> bug)
    gyre_test_properties(example_sim_bank_bug example)
endif()

# Checks of what was built and of the tree. They read objects and libraries, which sanitizers and
# gcov fill with symbols of their own.
if(NOT GYRE_SANITIZE AND NOT GYRE_FUZZ AND NOT GYRE_COVERAGE)
    file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/objects.txt
        CONTENT "$<JOIN:$<TARGET_OBJECTS:gyre_objects>,\n>\n")
    file(GLOB checks CONFIGURE_DEPENDS tests/checks/check_*.sh tests/consume/run.sh)
    foreach(script ${checks})
        get_filename_component(name ${script} NAME_WE)
        set(label check)
        if(name STREQUAL "run")
            set(name consume)
            set(label consume)
        endif()
        add_test(NAME ${name} COMMAND bash ${script})
        gyre_test_properties(${name} ${label})
        set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT
            "GYRE_SOURCE=${PROJECT_SOURCE_DIR}" "GYRE_BUILD=${PROJECT_BINARY_DIR}"
            "GYRE_STATIC=$<TARGET_FILE:gyre_static>" "GYRE_SHARED=$<TARGET_FILE:gyre>"
            "CC=${CMAKE_C_COMPILER}" "CMAKE=${CMAKE_COMMAND}")
    endforeach()
    if(TARGET gyre_sim_command)
        add_test(NAME mutants COMMAND bash ${PROJECT_SOURCE_DIR}/tests/sim/mutants.sh
            $<TARGET_FILE:gyre_sim_command>)
        gyre_test_properties(mutants sim)
        set_tests_properties(mutants PROPERTIES TIMEOUT 600) # when seeds have to be looked for
    endif()
    # It brings its own compilers, so one of our builds is enough to run it.
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND NOT CMAKE_CROSSCOMPILING)
        add_test(NAME aarch64 COMMAND bash ${PROJECT_SOURCE_DIR}/tests/aarch64/run.sh)
        gyre_test_properties(aarch64 check)
        set_tests_properties(aarch64 PROPERTIES TIMEOUT 300) # it compiles the library three times
    endif()
    find_package(Python3 COMPONENTS Interpreter)
    if(Python3_FOUND)
        add_test(NAME tidy_test
            COMMAND Python3::Interpreter ${PROJECT_SOURCE_DIR}/tests/tidy/test_tidy.py)
        gyre_test_properties(tidy_test check)
        add_test(NAME mutate_test
            COMMAND Python3::Interpreter ${PROJECT_SOURCE_DIR}/tests/tidy/test_mutate.py)
        gyre_test_properties(mutate_test check)
        add_test(NAME coverage_test
            COMMAND Python3::Interpreter ${PROJECT_SOURCE_DIR}/tests/tidy/test_coverage.py)
        gyre_test_properties(coverage_test check)
    endif()
endif()

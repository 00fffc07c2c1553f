# libgyre.a and libgyre.so from the same objects, and libgyre_sim.a, the simulated world.
#   gyre         shared, exports gyre_* only
#   gyre_static  static; also what tests and commands link, since it has the internal functions
#   gyre_sim     static, on top of gyre_static

file(GLOB gyre_headers CONFIGURE_DEPENDS include/gyre/*.h)
file(GLOB gyre_sources CONFIGURE_DEPENDS io/*.c io/base/*.c io/co/*.c engine/*/*.c)
file(GLOB gyre_sim_sources CONFIGURE_DEPENDS io/sim/*.c sim/*.c)

set(gyre_packages PkgConfig::GYRE_URING PkgConfig::GYRE_ZSTD PkgConfig::GYRE_XXHASH)

# One coroutine switch: the processor's assembly, or ucontext (portable, slower: a system call).
list(FILTER gyre_sources EXCLUDE REGEX "/switch_[a-z0-9_]+\\.c$")
set(switch switch_ucontext.c)
if(GYRE_SWITCH STREQUAL "auto")
    string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" processor)
    if(processor MATCHES "^(x86_64|amd64)$")
        set(switch switch_x86_64.S)
    elseif(processor MATCHES "^(aarch64|arm64)$")
        set(switch switch_aarch64.S)
    endif()
endif()
file(GLOB gyre_switch_source CONFIGURE_DEPENDS io/co/${switch})

# What one sees of the library while building it. Definitions that change a struct go here, so that
# tests agree with the library about its layout.
add_library(gyre_inside INTERFACE)
target_include_directories(gyre_inside INTERFACE
    ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_link_libraries(gyre_inside INTERFACE ${gyre_packages})
if(switch MATCHES "ucontext")
    target_compile_definitions(gyre_inside INTERFACE GY_SWITCH_UCONTEXT)
endif()

# Static probes (docs/probes.md), where systemtap-sdt-dev is there.
option(GYRE_PROBES "Static probes for bpftrace and perf, where <sys/sdt.h> is found." ON)
if(GYRE_PROBES)
    check_include_file(sys/sdt.h GYRE_HAS_SDT)
    if(GYRE_HAS_SDT)
        target_compile_definitions(gyre_inside INTERFACE GY_HAS_SDT)
    endif()
endif()

add_library(gyre_objects OBJECT ${gyre_sources} ${gyre_switch_source})
set_target_properties(gyre_objects PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_link_libraries(gyre_objects PRIVATE gyre_core_flags gyre_inside)

function(gyre_add_library name kind)
    add_library(${name} ${kind} $<TARGET_OBJECTS:gyre_objects>)
    target_sources(${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include
        FILES ${gyre_headers})
    target_link_libraries(${name} PRIVATE ${gyre_packages})
    set_target_properties(${name} PROPERTIES OUTPUT_NAME gyre LINKER_LANGUAGE C)
    add_library(gyre::${name} ALIAS ${name})
endfunction()

gyre_add_library(gyre_static STATIC)
gyre_add_library(gyre SHARED)
set_target_properties(gyre PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
    LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/gyre.map)
target_link_libraries(gyre PRIVATE $<BUILD_INTERFACE:gyre_flags>)
target_link_options(gyre PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/gyre.map)
if(GYRE_WERROR AND NOT GYRE_SANITIZE AND NOT GYRE_FUZZ) # a sanitizer's runtime is in the program
    target_link_options(gyre PRIVATE -Wl,-z,defs)
endif()

# The same sources with the checker's marks in them (io/base/checked.h): states that count, planted
# bugs to choose from. For the checker and the simulations only; never installed as a library.
add_library(gyre_checked STATIC ${gyre_sources} ${gyre_switch_source} ${gyre_sim_sources})
target_compile_definitions(gyre_checked PUBLIC GYRE_CHECKED)
target_link_libraries(gyre_checked PRIVATE gyre_core_flags PUBLIC gyre_inside)

# The checker without its command: model, plans, runs. What tests/sim builds on.
file(GLOB checker_sources CONFIGURE_DEPENDS tools/gyre_sim/*.c)
list(REMOVE_ITEM checker_sources ${PROJECT_SOURCE_DIR}/tools/gyre_sim/main.c)
add_library(gyre_checker STATIC EXCLUDE_FROM_ALL ${checker_sources})
target_link_libraries(gyre_checker PRIVATE gyre_flags PUBLIC gyre_checked)
target_compile_options(gyre_checker PRIVATE -Wframe-larger-than=${host_frame_bytes_max})

if(gyre_sim_sources)
    add_library(gyre_sim STATIC ${gyre_sim_sources})
    target_sources(gyre_sim PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include)
    set_target_properties(gyre_sim PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_link_libraries(gyre_sim PRIVATE
        $<BUILD_INTERFACE:gyre_core_flags> $<BUILD_INTERFACE:gyre_inside> PUBLIC gyre_static)
    add_library(gyre::gyre_sim ALIAS gyre_sim)
endif()

# What `cmake --install` puts where, for CMake users (find_package(gyre)) and for pkg-config.
#
# Two export sets: one who links the shared library needs none of the development packages that the
# static one needs, and find_package must not ask for them.

install(TARGETS gyre EXPORT gyreTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(static_targets gyre_static)
if(TARGET gyre_sim)
    list(APPEND static_targets gyre_sim)
endif()
install(TARGETS ${static_targets} EXPORT gyreStaticTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

foreach(command gyre_command gyre_bench gyre_sim_command)
    if(TARGET ${command})
        install(TARGETS ${command} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    endif()
endforeach()

file(GLOB man_pages CONFIGURE_DEPENDS docs/man/*.[1-9])
foreach(page ${man_pages})
    string(REGEX REPLACE ".*\\." "" section ${page})
    install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
if(TARGET gyre_command)
    install(FILES tools/completions/gyre
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
endif()
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/gyre)
configure_package_config_file(cmake/gyreConfig.cmake.in ${PROJECT_BINARY_DIR}/gyreConfig.cmake
    INSTALL_DESTINATION ${cmake_dir} NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may change the API.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/gyreConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/gyreConfig.cmake ${PROJECT_BINARY_DIR}/gyreConfigVersion.cmake
    DESTINATION ${cmake_dir})
install(EXPORT gyreTargets NAMESPACE gyre:: DESTINATION ${cmake_dir})
install(EXPORT gyreStaticTargets NAMESPACE gyre:: DESTINATION ${cmake_dir})

# The .pc files find the prefix from their own place, so an installed tree can be moved.
file(RELATIVE_PATH GYRE_PC_TO_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
foreach(name gyre gyre_sim)
    configure_file(cmake/${name}.pc.in ${name}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/${name}.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

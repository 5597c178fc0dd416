# cmake --install and cpack -G DEB (see packaging/).

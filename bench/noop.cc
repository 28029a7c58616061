// Does nothing, as a program of C++ does it: what starting a process costs. Built static and dynamic.
#include <iostream>

int main() { return std::cout.good() ? 0 : 1; }

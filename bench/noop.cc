// A C++ program that does nothing, to measure the cost of starting a process. Built static and dynamic.
#include <iostream>

int main() { return std::cout.good() ? 0 : 1; }

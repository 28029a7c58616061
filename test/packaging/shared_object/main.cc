int run_hello(int argc, char** argv);

int main(int argc, char** argv) { return run_hello(argc, argv); }

/* Python's own main and nothing else: linked fully static, static-pie, and stripped by the tests. */
int Py_BytesMain(int argc, char **argv);

int main(int argc, char **argv) {
  return Py_BytesMain(argc, argv);
}

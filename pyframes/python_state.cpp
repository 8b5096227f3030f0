#include "pyframes/python_state.h"

namespace pythreads::pyframes {

std::string to_string(const PyVersion& version) {
  std::string text = std::to_string(version.major) + "." + std::to_string(version.minor) + "." +
                     std::to_string(version.micro);
  // The last byte of PY_VERSION_HEX: level (0xA alpha, 0xB beta, 0xC candidate, 0xF final) and serial.
  unsigned serial = version.hex & 15;
  switch (version.hex >> 4 & 15) {
    case 0xA:
      return text + "a" + std::to_string(serial);
    case 0xB:
      return text + "b" + std::to_string(serial);
    case 0xC:
      return text + "rc" + std::to_string(serial);
    default:
      return text;
  }
}

}  // namespace pythreads::pyframes

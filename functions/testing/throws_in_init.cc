// Says something and fails to initialise.

#include <fanfare/function.h>

#include <cstdio>
#include <stdexcept>

FANFARE_INIT {
  std::printf("looking for the model\n");
  throw std::runtime_error("the model is not there");
}

FANFARE_FUNCTION(const fanfare::Event&) {
  return "never reached";
}

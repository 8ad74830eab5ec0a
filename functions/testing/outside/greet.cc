#include <fanfare/function.h>

FANFARE_FUNCTION(const fanfare::Event& event) {
  return "hello " + std::string(event.data);
}

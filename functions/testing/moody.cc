// Fails for good until the file exists that MOODY_FILE names: what a repaired function looks like.

#include <fanfare/function.h>

#include <unistd.h>
#include <cstdlib>

FANFARE_FUNCTION(const fanfare::Event& event) {
  const char* const file = std::getenv("MOODY_FILE");
  if (!file || ::access(file, F_OK) != 0) {
    throw fanfare::Failure{"Moody", "not today"}.retryable(false);
  }
  return "fine: " + std::string(event.data);
}

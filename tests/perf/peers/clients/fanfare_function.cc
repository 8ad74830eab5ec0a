// The function that Fanfare is measured with: its body is that of all peers (measured.h). Its
// records go to a file of each instance's own; how its name begins is in the manifest's
// environment, as COMPARE_RECORDS.
#include <fanfare/function.h>
#include <unistd.h>

#include <string>

#include "tests/perf/peers/clients/measured.h"

FANFARE_FUNCTION(const fanfare::Event& event) {
  static const int records =
      measured_open((std::getenv("COMPARE_RECORDS") + std::to_string(getpid())).c_str());
  std::string result(kResultBytes, 0);
  measured_function(records, event.data.data(), event.data.size(), result.data());
  return fanfare::Output::bytes(std::move(result), "application/octet-stream");
}

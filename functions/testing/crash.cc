// Ends its process, or fails to be caught, in the way that its data names.

#include <fanfare/function.h>

#include <unistd.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

FANFARE_FUNCTION(const fanfare::Event& event) {
  std::printf("about to %.*s\n", static_cast<int>(event.data.size()), event.data.data());
  if (event.data == "segfault") std::raise(SIGSEGV);
  if (event.data == "abort") std::abort();
  if (event.data == "exit 0") std::exit(0);
  if (event.data == "exit 3") ::_exit(3);
  if (event.data == "throw int") throw 42;
  if (event.data == "throw") throw std::runtime_error("thrown on purpose");
  if (event.data == "close everything") ::close_range(3, ~0U, 0);
  return "survived " + std::string(event.data);
}

// Does not start in the time zone that it is told to refuse, which stands for whatever one worker
// has and another has not. Its init takes INIT_MS. Answers with VERSION, after NAP_MS.

#include <fanfare/function.h>

#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

using fanfare::Context;

namespace {

void wait_for(const char* variable) {
  const std::string text{Context::env(variable).value_or("0")};
  std::this_thread::sleep_for(std::chrono::milliseconds{std::stoi(text)});
}

}  // namespace

FANFARE_INIT {
  const std::string here{Context::env("TZ").value_or("none")};
  std::cout << "starting in " << here << std::endl;
  if (Context::env("REFUSES").value_or("") == here) {
    throw std::runtime_error("does not run in " + here);
  }
  wait_for("INIT_MS");
}

FANFARE_FUNCTION(const fanfare::Event&, Context&) {
  wait_for("NAP_MS");
  return std::string{Context::env("VERSION").value_or("none")};
}

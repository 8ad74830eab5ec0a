// Does not start in the time zone that it is told to refuse, which stands for whatever one worker
// has and another has not. Answers with VERSION, after NAP_MS.

#include <fanfare/function.h>

#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

using fanfare::Context;

FANFARE_INIT {
  const std::string here{Context::env("TZ").value_or("none")};
  std::cout << "starting in " << here << std::endl;
  if (Context::env("REFUSES").value_or("") == here) {
    throw std::runtime_error("does not run in " + here);
  }
}

FANFARE_FUNCTION(const fanfare::Event&, Context&) {
  const std::chrono::milliseconds nap{std::stoi(std::string{Context::env("NAP_MS").value_or("0")})};
  std::this_thread::sleep_for(nap);
  return std::string{Context::env("VERSION").value_or("none")};
}

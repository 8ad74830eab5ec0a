// Patterns and events by chance, for tests: each seed has a few keys and values that it prefers, so
// that patterns and events meet often, and often only just miss. The same seed gives the same ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "protocol/event.h"

namespace fanfare::protocol {

class RandomPatterns {
 public:
  explicit RandomPatterns(std::uint64_t seed);

  std::size_t up_to(std::size_t most) { return engine_() % (most + 1); }

  // Compiles as a pattern over events, but for what multiplies too much.
  std::string pattern();
  Event event();

 private:
  bool one_in(std::size_t n) { return up_to(n - 1) == 0; }
  std::string pick(std::initializer_list<const char*> from);
  std::string any_text();
  std::string any_number();
  std::string key();
  std::string text();    // without quotes, may hold what JSON escapes
  std::string quoted();  // the same as JSON
  std::string number();
  std::string fields(std::size_t depth);
  std::string field_of_data(std::size_t depth);
  std::string alternatives(bool of_attribute);
  std::string alternative(bool of_attribute);
  std::string anything_but(bool of_attribute);
  std::string one_attribute();
  std::string value(std::size_t depth);
  std::string object(std::size_t depth);
  std::string rows(std::size_t depth);

  std::mt19937_64 engine_;
  std::vector<std::string> texts_, numbers_, keys_;  // preferred
};

}  // namespace fanfare::protocol

// One way to hurt the system, and what must hold all the same.
//
// To add one: write tests/chaos/scenario_NN_name.cc with one function that returns its Scenario,
// declare it below, add it to the list in scenario.cc and the file to CMakeLists.txt. Its number is
// for ever.
//
// The run builds a Rig, starts load, injects its fault again and again (everything random drawn
// from the seed), heals, waits for rest, and returns the history. It asserts nothing: the checker
// does. What it must see to is that the fault bites: `times` counts injections that took place, and
// a run without any is a failure. The control is the very same run with one protection switched off
// or the class lowered: the checker must find one of `bites` broken, or the scenario proves
// nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/chaos/checker.h"
#include "tests/chaos/history.h"

namespace fanfare::chaos {

// Thrown by a scenario that needs what this machine does not give, such as a mount of its own.
struct CannotHere : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Run {
  std::uint64_t seed = 1;
  bool control = false;
  bool lengthy = false;  // --long: the figures are taken there; else a few seconds
};

// Something measured, for the report; no bound.
struct Figure {
  std::string what;
  double value = 0;
};

struct Outcome {
  History history;
  std::size_t times = 0;  // how often the fault was injected
  std::vector<Figure> figures;
  std::string logs;  // of the processes, shown when the run fails
};

struct Scenario {
  int number = 0;
  std::string name;
  std::string injected;          // for the table: what is done to it
  std::string without;           // for the table: what the control run goes without
  std::vector<Invariant> bites;  // one of these must be found broken in the control run
  std::function<Outcome(const Run&)> run;
};

// In the order of their numbers.
std::vector<Scenario> scenarios();

Scenario broker_crash();  // 1
Scenario worker_storm();  // 2
Scenario redis_kill();    // 3
Scenario two_brokers();   // 5
Scenario lost_replies();  // 6
Scenario clock_steps();   // 10
Scenario hung();          // 11
Scenario poison();        // 12
Scenario disk_full();     // 13
Scenario redis_full();    // 14
Scenario disk_errors();   // 15
Scenario slow_redis();    // 16
Scenario overload();      // 21
Scenario zygote_death();  // 22
Scenario orphans();       // 23
Scenario worker_gone();   // 30
Scenario order();         // 32
Scenario delayed();       // 33
Scenario same_key();      // 34
Scenario stuck();         // 36

}  // namespace fanfare::chaos

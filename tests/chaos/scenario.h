// One way to hurt the system, and what must hold all the same.
//
// To add one: write tests/chaos/scenario_NN_name.cc with one function that returns its Scenario,
// declare it below, add it to the list in scenario.cc and the file to CMakeLists.txt. Its number is
// for ever.
//
// The run builds a Rig, starts load, injects its fault again and again (everything random drawn
// from the seed), heals, waits for rest, and returns the history. It asserts nothing: the checker
// does. What it must see to is that the fault bites: `times` counts injections that took place, and
// a run without any is a failure. The control is the very same run, with the same patience, and one
// protection switched off or the class lowered (run.without()): the checker must find one of
// `bites` broken, or the scenario proves nothing. Where the control's faults must differ from the
// run's to bite for certain (run.control, and Scenario::own_faults), a self-check runs them with
// the protection on, and everything must hold.
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
  bool control = false;     // with the faults of the control, if it has some of its own
  bool self_check = false;  // of the control: with its faults, and every protection on
  bool without() const { return control && !self_check; }  // the protection is off
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
  bool own_faults = false;       // the control's differ from the run's
  std::function<Outcome(const Run&)> run;
};

// In the order of their numbers.
std::vector<Scenario> scenarios();

// Where scenarios of the same list are proved that need no processes.
struct Elsewhere {
  int number = 0;
  std::string name, injected, where;
};
std::vector<Elsewhere> elsewhere();

Scenario broker_crash();  // 1
Scenario worker_storm();  // 2
Scenario redis_kill();    // 3
Scenario power_loss();    // 4
Scenario two_brokers();   // 5
Scenario lost_replies();  // 6
Scenario batch_limits();  // 9
Scenario clock_steps();   // 10
Scenario hung();          // 11
Scenario poison();        // 12
Scenario disk_full();     // 13
Scenario redis_full();    // 14
Scenario disk_errors();   // 15
Scenario slow_redis();    // 16
Scenario backlog();       // 17
Scenario herd();          // 20
Scenario overload();      // 21
Scenario zygote_death();  // 22
Scenario orphans();       // 23
Scenario churn();         // 29
Scenario worker_gone();   // 30
Scenario hogs();          // 31
Scenario order();         // 32
Scenario delayed();       // 33
Scenario same_key();      // 34
Scenario stuck();         // 36
Scenario exhaustion();    // 38
Scenario restart();       // 41
Scenario tokens();        // 42
Scenario everything();    // 43
Scenario network_cut();   // 44

}  // namespace fanfare::chaos

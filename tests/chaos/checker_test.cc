// Each promise broken once in an otherwise faultless history: the checker must name that one.
#include "tests/chaos/checker.h"

#include <gtest/gtest.h>

namespace fanfare::chaos {
namespace {

constexpr protocol::EventId id_of(Tag tag) {
  return {{1'700'000'000'000 + tag, 0}, 0};
}

// Three events of one key, each sent, run and committed once; nothing wrong with it.
class Faultless {
 public:
  Faultless() {
    for (Tag tag = 1; tag <= 3; ++tag) {
      h.submissions.push_back({.tag = tag,
                               .fate = Submission::Fate::kAccepted,
                               .invoked_ns = at(tag, 0),
                               .answered_ns = at(tag, 1),
                               .id = id_of(tag),
                               .functions = 1,
                               .ordering_key = "k",
                               .position = tag});
      h.changes.push_back({.kind = Change::Kind::kAppended,
                           .step = 2 * tag,
                           .function = "f",
                           .id = id_of(tag),
                           .tag = tag});
      h.executions.push_back({.id = id_of(tag),
                              .tag = tag,
                              .attempt = 1,
                              .instance = 100,
                              .worker = 10,
                              .nonce = 1000 + tag,
                              .began_ns = at(tag, 2),
                              .ended_ns = at(tag, 3)});
      h.changes.push_back({.kind = Change::Kind::kStored,
                           .step = 2 * tag + 1,
                           .function = "f",
                           .id = id_of(tag),
                           .tag = tag,
                           .nonce = 1000 + tag,
                           .token = {5},
                           .fingerprint = tag});
      h.ended.push_back({.function = "f",
                         .id = id_of(tag),
                         .has_result = true,
                         .tag = tag,
                         .nonce = 1000 + tag,
                         .fingerprint = tag});
    }
    h.counts.push_back({"f", 7, {.accepted = 3, .succeeded = 3}});
    h.at_rest.push_back({.accepted = 3, .succeeded = 3});
    h.attempts_max = 2;
  }

  static std::int64_t at(Tag tag, std::int64_t ms) {
    return static_cast<std::int64_t>(tag) * 1'000'000'000 + ms * 1'000'000;
  }
  Execution again(std::size_t which, std::int64_t ms, std::uint64_t nonce) {
    Execution one = h.executions.at(which);
    one.nonce = nonce;
    one.began_ns = at(which + 1, ms);
    one.ended_ns = at(which + 1, ms + 1);
    return one;
  }

  History h;
};

// What is broken, and nothing else is.
void expect_only(Invariant invariant, const History& history) {
  const Verdict verdict = check(history);
  EXPECT_TRUE(verdict.broken(invariant)) << "not noticed: " << name_of(invariant);
  for (const Violation& one : verdict.violations) {
    EXPECT_EQ(one.invariant, invariant) << name_of(one.invariant) << ": " << one.text;
  }
}

TEST(ChaosChecker, FindsNothingWrongWithAFaultlessHistory) {
  const Verdict verdict = check(Faultless().h);
  EXPECT_TRUE(verdict.kept_all()) << describe(verdict);
  EXPECT_EQ(verdict.acknowledged, 3u);
  EXPECT_EQ(verdict.executions, 3u);
  EXPECT_EQ(verdict.committed, 3u);
  EXPECT_EQ(verdict.lost, 0u);
}

TEST(ChaosChecker, FindsAnAcknowledgedEventThatIsGone) {
  Faultless f;
  f.h.ended[1].has_result = false;
  f.h.ended[1].nonce = 0;
  expect_only(Invariant::kNoLoss, f.h);
  EXPECT_EQ(check(f.h).lost, 1u);
}

TEST(ChaosChecker, FindsAnEventThatEndedInOneOfItsTwoFunctions) {
  Faultless f;
  f.h.submissions[0].functions = 2;
  expect_only(Invariant::kNoLoss, f.h);
}

TEST(ChaosChecker, DoesNotTakeWhatIsMerelyUnfinishedForLost) {
  Faultless f;
  f.h.ended.erase(f.h.ended.begin() + 1);
  f.h.changes.erase(f.h.changes.begin() + 3);
  f.h.unfinished.push_back({"f", id_of(2)});
  f.h.counts[0].counts = f.h.at_rest[0] = {.accepted = 3, .open = 1, .succeeded = 2};
  expect_only(Invariant::kLiveness, f.h);
  EXPECT_EQ(check(f.h).lost, 0u);
  f.h.submissions[1].functions = 2;  // and the other function knows nothing of it
  EXPECT_TRUE(check(f.h).broken(Invariant::kNoLoss));
}

TEST(ChaosChecker, FindsASecondResult) {
  Faultless f;
  Change second = f.h.changes[1];
  second.step = 9;
  f.h.changes.push_back(second);
  expect_only(Invariant::kOneCommit, f.h);
}

TEST(ChaosChecker, FindsAResultThatReadsOtherwiseThanItWasStored) {
  Faultless f;
  f.h.ended[2].fingerprint = 77;
  expect_only(Invariant::kOneCommit, f.h);
}

TEST(ChaosChecker, FindsASuccessWithADeadLetter) {
  Faultless f;
  f.h.ended[2].letters = 1;
  expect_only(Invariant::kOneCommit, f.h);
}

TEST(ChaosChecker, FindsWhatNobodySent) {
  Faultless f;
  f.h.submissions.erase(f.h.submissions.begin());
  f.h.executions[0].tag = 0;
  expect_only(Invariant::kNoPhantom, f.h);
}

TEST(ChaosChecker, FindsAResultThatNoExecutionGave) {
  Faultless f;
  f.h.ended[0].nonce = 4711;
  expect_only(Invariant::kNoPhantom, f.h);
}

TEST(ChaosChecker, AllowsAnUnknownEventToBeThereOnceOrNotAtAll) {
  Faultless f;
  f.h.submissions[0].fate = Submission::Fate::kUnknown;
  f.h.submissions.push_back({.tag = 9, .fate = Submission::Fate::kUnknown});
  EXPECT_TRUE(check(f.h).kept_all()) << describe(check(f.h));
}

TEST(ChaosChecker, FindsAnUnknownEventThatIsThereTwice) {
  Faultless f;
  f.h.submissions[1].fate = Submission::Fate::kUnknown;
  f.h.submissions[2].fate = Submission::Fate::kUnknown;
  f.h.submissions.pop_back();
  f.h.changes[4].tag = f.h.changes[5].tag = 2;
  f.h.executions[2].tag = f.h.ended[2].tag = 2;
  expect_only(Invariant::kUnknownOnce, f.h);
}

TEST(ChaosChecker, FindsARefusedEventThatIsThere) {
  Faultless f;
  f.h.submissions[1].fate = Submission::Fate::kRefused;
  expect_only(Invariant::kUnknownOnce, f.h);
}

TEST(ChaosChecker, FindsTwoEventsOfOneDeduplicationKey) {
  Faultless f;
  f.h.submissions[0].deduplication_key = f.h.submissions[1].deduplication_key = "d";
  expect_only(Invariant::kUnknownOnce, f.h);
}

TEST(ChaosChecker, FindsARepetitionWithoutCause) {
  Faultless f;
  f.h.executions.push_back(f.again(0, 5, 2000));
  expect_only(Invariant::kAccounted, f.h);
}

TEST(ChaosChecker, AcceptsARepetitionAfterItsWorkerWasKilledOrItFailed) {
  Faultless f;
  f.h.executions.push_back(f.again(0, 5, 2000));
  f.h.executions.push_back(f.again(1, 5, 2001));
  f.h.faults.push_back({"killed", 10, Faultless::at(1, 3), Faultless::at(1, 4)});
  f.h.executions[1].failed = true;
  EXPECT_TRUE(check(f.h).kept_all()) << describe(check(f.h));
  f.h.faults[0].pid = 11;  // another worker's end explains nothing
  expect_only(Invariant::kAccounted, f.h);
}

TEST(ChaosChecker, FindsMoreFailuresThanTheBudgetHas) {
  Faultless f;
  for (int i = 1; i <= 3; ++i) {
    f.h.executions.push_back(f.again(0, 10 * i, 2000 + static_cast<std::uint64_t>(i)));
    f.h.executions.back().failed = true;
  }
  f.h.executions[0].failed = true;
  expect_only(Invariant::kAccounted, f.h);
}

TEST(ChaosChecker, FindsWhatRanBeforeItsTime) {
  Faultless f;
  f.h.submissions[0].not_before_ns = f.h.executions[0].began_ns;
  EXPECT_TRUE(check(f.h).kept_all());
  ++f.h.submissions[0].not_before_ns;
  expect_only(Invariant::kAccounted, f.h);
}

TEST(ChaosChecker, FindsWhatRanLongAfterItsTimeWhereThatIsLookedAt) {
  Faultless f;
  f.h.submissions[0].not_before_ns = f.h.executions[0].began_ns - 1'000'000;
  EXPECT_TRUE(check(f.h).kept_all());
  f.h.late_max_ns = 1'000'000;
  EXPECT_TRUE(check(f.h).kept_all());
  --f.h.submissions[0].not_before_ns;
  expect_only(Invariant::kAccounted, f.h);
}

TEST(ChaosChecker, WhereNoResultsAreKeptTakesARunForTheEnd) {
  Faultless f;
  f.h.results_kept = false;
  f.h.ended.clear();
  EXPECT_TRUE(check(f.h).kept_all()) << describe(check(f.h));
  f.h.executions[1].ended_ns = 0;
  expect_only(Invariant::kNoLoss, f.h);
}

TEST(ChaosChecker, FindsASuccessThatNeverRan) {
  Faultless f;
  f.h.executions.erase(f.h.executions.begin());
  f.h.ended[0].nonce = 0;
  expect_only(Invariant::kAccounted, f.h);
}

TEST(ChaosChecker, FindsTwoRunsOfOneKeyAtATime) {
  Faultless f;
  f.h.executions[0].ended_ns = Faultless::at(2, 3);
  expect_only(Invariant::kOrder, f.h);
}

TEST(ChaosChecker, FindsACommitOutOfItsKeysOrder) {
  Faultless f;
  std::swap(f.h.submissions[1].position, f.h.submissions[2].position);
  expect_only(Invariant::kOrder, f.h);
}

TEST(ChaosChecker, FindsACommitByAnAttemptThatHadBeenReplaced) {
  Faultless f;
  Change moved;
  moved.kind = Change::Kind::kPostponed;
  moved.step = 2;
  moved.function = "f";
  moved.id = id_of(1);
  moved.token = {6};
  f.h.changes.insert(f.h.changes.begin() + 1, moved);
  expect_only(Invariant::kFencing, f.h);
}

TEST(ChaosChecker, FindsCountsThatDoNotAddUp) {
  Faultless f;
  f.h.counts[0].counts.open = 1;
  expect_only(Invariant::kConservation, f.h);

  Faultless g;  // adds up, and yet nobody has minus one delivery
  g.h.counts[0].counts = {.accepted = 3, .open = -1, .succeeded = 4};
  expect_only(Invariant::kConservation, g.h);

  Faultless more;  // adds up, but one was counted that was never journaled
  more.h.at_rest[0] = {.accepted = 4, .succeeded = 4};
  expect_only(Invariant::kConservation, more.h);
}

TEST(ChaosChecker, FindsWhatDoesNotComeToRest) {
  Faultless f;
  f.h.came_to_rest = false;
  expect_only(Invariant::kLiveness, f.h);

  Faultless g;
  g.h.at_rest[0] = {.accepted = 3, .open = 1, .succeeded = 2};
  expect_only(Invariant::kLiveness, g.h);

  Faultless late;
  late.h.bounds.push_back({Bounded::Of::kTime, "ms until it lends again", 501, 500});
  expect_only(Invariant::kLiveness, late.h);
}

TEST(ChaosChecker, FindsWhatGrows) {
  Faultless f;
  f.h.bounds.push_back({Bounded::Of::kResource, "open files", 40, 40});
  EXPECT_TRUE(check(f.h).kept_all());
  f.h.bounds.push_back({Bounded::Of::kResource, "processes left behind", 1, 0});
  expect_only(Invariant::kResources, f.h);
}

// 6000 events through one worker that keeps something of each: what one descriptor, or 1 KiB, of
// each adds up to is found, whatever their queue was.
TEST(ChaosChecker, FindsALeakOfADescriptorOrAKilobyteOfEachEvent) {
  constexpr std::int64_t kEvents = 6000;
  const auto after = [](Holding more) {
    Faultless f;
    const Holding before{.kib = 2500, .descriptors = 37, .threads = 3, .children = 3};
    f.h.held.push_back({.process = "worker-0",
                        .before = before,
                        .after = {.kib = before.kib + more.kib,
                                  .descriptors = before.descriptors + more.descriptors,
                                  .threads = before.threads + more.threads,
                                  .children = before.children + more.children}});
    f.h.counts.insert(f.h.counts.begin(), {"f", 0, {.accepted = kEvents, .open = kEvents}});
    return f.h;
  };
  EXPECT_TRUE(check(after({})).kept_all());
  // A queue's room, and two more instances.
  const auto harmless = after({.kib = 3000, .descriptors = 15, .children = 2});
  EXPECT_TRUE(check(harmless).kept_all()) << describe(check(harmless));
  expect_only(Invariant::kResources, after({.kib = kEvents}));
  expect_only(Invariant::kResources, after({.descriptors = 30}));
  expect_only(Invariant::kResources, after({.threads = 3}));
  expect_only(Invariant::kResources, after({.children = 9}));
}

TEST(ChaosChecker, FindsTwoRunsOfOneTokenAtATime) {
  Faultless f;
  f.h.submissions[0].ordering_key.clear();  // else that is broken, too
  f.h.executions[0].token = {5};
  f.h.executions[0].ended_ns = f.at(1, 10);
  f.h.executions.push_back(f.again(0, 5, 2000));
  f.h.faults.push_back({"link silent", 0, f.at(1, 3), f.at(1, 4)});
  f.h.executions.back().token = {6};  // lent again: an attempt of its own
  EXPECT_TRUE(check(f.h).kept_all()) << describe(check(f.h));
  f.h.executions.back().token = {5};
  expect_only(Invariant::kMonotone, f.h);
  f.h.executions[0].ended_ns = f.at(1, 4);  // one after the other
  EXPECT_TRUE(check(f.h).kept_all()) << describe(check(f.h));
}

TEST(ChaosChecker, FindsWhatHadEndedAndWaitsAgain) {
  Faultless f;
  Change moved;
  moved.kind = Change::Kind::kPostponed;
  moved.step = 9;
  moved.function = "f";
  moved.id = id_of(1);
  moved.token = {6};
  f.h.changes.push_back(moved);
  expect_only(Invariant::kMonotone, f.h);
}

// The first event dies, is redriven, and succeeds; a destination is told of both ends, and of the
// others' successes. Each attempt writes its rows.
class Told : public Faultless {
 public:
  Told() {
    h.changes[1].status = h.changes[3].status = h.changes[5].status = protocol::Status::kSucceeded;
    const Change success = h.changes[1];
    Change died = success, letter = success, redriven = success;
    died.status = protocol::Status::kFailed;
    died.tag = died.nonce = 0;
    died.fingerprint = 77;
    letter.kind = Change::Kind::kLetter;
    redriven.kind = Change::Kind::kRedriven;
    redriven.token = {6};
    h.changes.erase(h.changes.begin() + 1);
    for (Change* const one : {&died, &letter}) one->step = 3;
    redriven.step = 8;
    h.changes.insert(h.changes.begin() + 1, {died, letter});
    h.changes.push_back(redriven);
    h.changes.push_back(success);
    h.changes.back().step = 9;
    h.changes.back().token = {7};
    Execution first = again(0, -5, 999);
    first.failed = true;
    h.executions.insert(h.executions.begin(), first);
    h.destination = "told";
    tell(1, true);
    for (Tag tag = 1; tag <= 3; ++tag) tell(tag, false);
    h.at_rest.push_back({.accepted = 4, .succeeded = 4});
    h.writes_rows = true;
    for (Tag tag = 1; tag <= 3; ++tag) {
      h.rows["n/" + std::to_string(tag)] = "1";
      h.rows["e/" + std::to_string(tag)] = std::to_string(1000 + tag);
    }
  }
  void tell(Tag tag, bool failure) {
    Change told;
    told.kind = Change::Kind::kAppended;
    told.step = 10 + tag;
    told.function = "told";
    told.id = {{1'800'000'000'000 + h.changes.size(), 0}, 0};
    told.about = id_of(tag);
    told.failure = failure;
    h.changes.push_back(told);
  }
};

TEST(ChaosChecker, FindsNothingWrongWithALetterThatIsRedrivenAndToldOf) {
  const Verdict verdict = check(Told().h);
  EXPECT_TRUE(verdict.kept_all()) << describe(verdict);
  EXPECT_EQ(verdict.told, 3u);
  EXPECT_EQ(verdict.rows, 6u);
}

TEST(ChaosChecker, FindsAnEndThatNobodyWasToldOfOrTwice) {
  Told none;
  none.h.changes.pop_back();
  none.h.at_rest[1] = {.accepted = 3, .succeeded = 3};
  expect_only(Invariant::kNoLoss, none.h);
  Told twice;
  twice.tell(1, true);
  twice.h.at_rest[1] = {.accepted = 5, .succeeded = 5};
  expect_only(Invariant::kOneCommit, twice.h);
}

TEST(ChaosChecker, FindsRowsThatWereWrittenTwiceOrByAnAttemptThatDoesNotCount) {
  Told twice;
  twice.h.rows["n/2"] = "2";
  expect_only(Invariant::kOneCommit, twice.h);
  Told another;
  another.h.rows["e/1"] = "999";
  expect_only(Invariant::kOneCommit, another.h);
  Told missing;
  missing.h.rows.erase("n/3");
  expect_only(Invariant::kOneCommit, missing.h);
  Told stray;
  stray.h.rows["n/9"] = "1";
  expect_only(Invariant::kOneCommit, stray.h);
}

TEST(ChaosChecker, FindsALetterThatIsGoneWithoutHavingBeenPurged) {
  Faultless f;
  f.h.ended[0].status = protocol::Status::kFailed;
  f.h.ended[0].nonce = 0;
  expect_only(Invariant::kOneCommit, f.h);
  f.h.changes.push_back(
      {.kind = Change::Kind::kPurged, .step = 9, .function = "f", .id = id_of(1)});
  EXPECT_TRUE(check(f.h).kept_all()) << describe(check(f.h));
}

TEST(ChaosChecker, FindsWhatIsRedrivenAlive) {
  Faultless f;
  f.h.changes.insert(
      f.h.changes.begin() + 1,
      {.kind = Change::Kind::kRedriven, .step = 2, .function = "f", .id = id_of(1), .token = {1}});
  expect_only(Invariant::kMonotone, f.h);
}

TEST(ChaosChecker, FindsWhatWasCancelledAndRanOrEndedOtherwise) {
  Faultless f;
  f.h.cancels.push_back({id_of(1), f.h.executions[0].began_ns - kCancelTakesNs});
  f.h.ended[0].status = protocol::Status::kCancelled;
  EXPECT_TRUE(check(f.h).kept_all()) << describe(check(f.h));
  --f.h.cancels[0].answered_ns;
  expect_only(Invariant::kMonotone, f.h);
  Faultless otherwise;
  otherwise.h.cancels.push_back({id_of(1), otherwise.h.executions[0].began_ns});
  expect_only(Invariant::kOneCommit, otherwise.h);
}

}  // namespace
}  // namespace fanfare::chaos

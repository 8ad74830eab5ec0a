#include "triggers/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "triggers/schedule_json.h"

namespace fanfare::triggers {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

WallTime on(const std::string& text) {
  return *parse_wall_time("2026-11-28T" + text + "Z");
}

Schedule schedule_of(const std::string& expression) {
  Schedule schedule{.name = "nightly", .expression = *ScheduleExpression::parse(expression)};
  schedule.since = on("00:00:00");
  return schedule;
}

TEST(Schedule, FiresWhenItIsDueAndNotBefore) {
  const Schedule schedule = schedule_of("*/5 * * * *");
  const auto before = decide(schedule, schedule.since, on("00:04:59.999"));
  EXPECT_THAT(before.fire, IsEmpty());
  EXPECT_EQ(before.wake, on("00:05:00"));
  const auto then = decide(schedule, before.handled, on("00:05:00"));
  EXPECT_THAT(then.fire, ElementsAre(on("00:05:00")));
  EXPECT_EQ(then.handled, on("00:05:00"));
  EXPECT_EQ(then.wake, on("00:10:00"));
  EXPECT_THAT(decide(schedule, then.handled, on("00:05:00")).fire, IsEmpty());
}

TEST(Schedule, WhatIsALittleLateIsNotMissed) {
  Schedule schedule = schedule_of("@every 10s");
  schedule.missed = Missed::kSkip;
  const auto late = decide(schedule, on("01:00:00"), on("01:00:35"));
  EXPECT_THAT(late.fire, SizeIs(3));
  EXPECT_EQ(late.missed, 0u);
}

TEST(Schedule, ADayAwayIsSkippedFiredOnceOrCaughtUp) {
  Schedule schedule = schedule_of("0 * * * *");
  const WallTime handled = on("10:00:00"), back = handled + 24h + 30min;

  schedule.missed = Missed::kSkip;
  auto decision = decide(schedule, handled, back);
  EXPECT_THAT(decision.fire, IsEmpty());
  EXPECT_EQ(decision.missed, 24u);
  EXPECT_EQ(decision.handled, handled + 24h);

  schedule.missed = Missed::kFireOnce;
  decision = decide(schedule, handled, back);
  EXPECT_THAT(decision.fire, ElementsAre(handled + 24h));
  EXPECT_EQ(decision.missed, 23u);

  schedule.missed = Missed::kCatchUp;
  schedule.catch_up_max = 3;
  decision = decide(schedule, handled, back);
  EXPECT_THAT(decision.fire, ElementsAre(handled + 22h, handled + 23h, handled + 24h));
  EXPECT_EQ(decision.missed, 21u);
  EXPECT_EQ(decision.wake, handled + 25h);
}

TEST(Schedule, WhatIsDueNowFiresBesideWhatWasMissed) {
  Schedule schedule = schedule_of("0 * * * *");
  schedule.missed = Missed::kSkip;
  const auto decision = decide(schedule, on("10:00:00"), on("13:00:10"));
  EXPECT_THAT(decision.fire, ElementsAre(on("13:00:00")));
  EXPECT_EQ(decision.missed, 2u);
}

TEST(Schedule, YearsAwayCostLittle) {
  Schedule schedule = schedule_of("* * * * *");
  const auto begun = std::chrono::steady_clock::now();
  const auto decision =
      decide(schedule, schedule.since, schedule.since + std::chrono::days{7300} + 30s);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 1s);
  EXPECT_THAT(decision.fire, SizeIs(2));  // what was missed, and what is due
  EXPECT_GE(decision.missed, 1000u);
  // What is rare is found however long ago it was.
  Schedule yearly = schedule_of("0 0 1 1 *");
  EXPECT_THAT(decide(yearly, yearly.since, on("00:00:00") + std::chrono::days{300}).fire,
              ElementsAre(*parse_wall_time("2027-01-01T00:00:00Z")));
}

TEST(Schedule, AClockThatIsSetBackRepeatsNothing) {
  const Schedule schedule = schedule_of("*/5 * * * *");
  const auto decision = decide(schedule, on("12:00:00"), on("11:00:00"));
  EXPECT_THAT(decision.fire, IsEmpty());
  EXPECT_EQ(decision.handled, on("12:00:00"));
  EXPECT_EQ(decision.wake, on("12:05:00"));
  EXPECT_TRUE(decision.clock_behind);
  EXPECT_FALSE(decide(schedule, on("12:00:00"), on("11:59:30")).clock_behind);
}

TEST(Schedule, AClockThatIsSetForwardIsLikeHavingBeenAway) {
  const Schedule schedule = schedule_of("*/5 * * * *");
  const auto decision = decide(schedule, on("12:00:00"), on("14:02:00"));
  EXPECT_THAT(decision.fire, ElementsAre(on("14:00:00")));
  EXPECT_EQ(decision.missed, 23u);
}

TEST(Schedule, StartAndEndBelongToIt) {
  Schedule schedule = schedule_of("rate(1 hour)");
  schedule.start = on("10:30:00");
  schedule.end = on("12:30:00");
  auto decision = decide(schedule, schedule.since, on("03:00:00"));
  EXPECT_THAT(decision.fire, IsEmpty());
  EXPECT_EQ(decision.wake, on("10:30:00"));
  decision = decide(schedule, decision.handled, on("10:30:00"));
  EXPECT_THAT(decision.fire, ElementsAre(on("10:30:00")));
  decision = decide(schedule, on("11:30:00"), on("12:30:00"));
  EXPECT_THAT(decision.fire, ElementsAre(on("12:30:00")));
  EXPECT_EQ(decision.wake, std::nullopt);
  EXPECT_THAT(decide(schedule, on("12:30:00"), on("23:00:00")).fire, IsEmpty());
}

TEST(Schedule, RateBeginsAPeriodAfterItsDefinition) {
  Schedule schedule = schedule_of("rate(90 minutes)");
  schedule.since = on("08:00:00.250");
  EXPECT_EQ(decide(schedule, {}, on("08:00:00.250")).wake, on("09:30:00.250"));
}

TEST(Schedule, NothingBeforeItsDefinitionIsMissed) {
  Schedule schedule = schedule_of("0 * * * *");
  schedule.since = on("12:30:00");
  const auto decision = decide(schedule, on("02:00:00"), on("12:45:00"));
  EXPECT_THAT(decision.fire, IsEmpty());
  EXPECT_EQ(decision.missed, 0u);
  EXPECT_EQ(decision.wake, on("13:00:00"));
}

TEST(Schedule, ADisabledOneDoesNothing) {
  Schedule schedule = schedule_of("* * * * *");
  schedule.enabled = false;
  const auto decision = decide(schedule, on("10:00:00"), on("12:00:00"));
  EXPECT_THAT(decision.fire, IsEmpty());
  EXPECT_EQ(decision.wake, std::nullopt);
  EXPECT_EQ(decision.handled, on("10:00:00"));
}

TEST(Schedule, WithoutOverlapTheNewestFiresAndExpiresAtTheNext) {
  Schedule schedule = schedule_of("0 * * * *");
  schedule.overlap = Overlap::kSkip;
  schedule.missed = Missed::kCatchUp;
  const auto decision = decide(schedule, on("09:00:00"), on("12:00:00"));
  EXPECT_THAT(decision.fire, ElementsAre(on("12:00:00")));
  EXPECT_EQ(decision.overlapped, 2u);
  EXPECT_EQ(decision.handled, on("12:00:00"));
  const auto event = event_of(schedule, on("12:00:00"));
  EXPECT_EQ(event.options.ordering_key, "schedule/nightly");
  EXPECT_EQ(event.options.expires_at, to_ms(on("13:00:00")));
  schedule.end = on("12:30:00");
  EXPECT_EQ(event_of(schedule, on("12:00:00")).options.expires_at, std::nullopt);
  schedule.overlap = Overlap::kAllow;
  EXPECT_THAT(decide(schedule, on("09:00:00"), on("12:00:00")).fire, SizeIs(3));
}

TEST(Schedule, JitterIsFixedWithinItsWindowAndSpread) {
  Schedule schedule = schedule_of("@hourly");
  schedule.jitter = 60s;
  std::map<std::int64_t, int> by_tenth;
  for (int hour = 0; hour < 5000; ++hour) {
    const WallTime at = on("00:00:00") + std::chrono::hours{hour};
    const Duration jitter = jitter_of(schedule, at);
    EXPECT_EQ(jitter, jitter_of(schedule, at));
    ASSERT_GE(jitter, 0s);
    ASSERT_LE(jitter, 60s);
    ++by_tenth[std::min<std::int64_t>(jitter / 6s, 9)];
  }
  EXPECT_THAT(by_tenth, SizeIs(10));
  for (const auto& [tenth, count] : by_tenth) {
    EXPECT_NEAR(count, 500, 120) << tenth;  // five standard deviations and more
  }
  Schedule other = schedule;
  other.name = "other";
  EXPECT_NE(jitter_of(schedule, on("01:00:00")), jitter_of(other, on("01:00:00")));
}

TEST(Schedule, FiresLaterByItsJitterWithItsNominalTime) {
  Schedule schedule = schedule_of("@hourly");
  schedule.jitter = 10min;
  const WallTime due = on("01:00:00") + std::chrono::floor<std::chrono::milliseconds>(
                                            jitter_of(schedule, on("01:00:00")));
  EXPECT_GT(due, on("01:00:00"));
  EXPECT_EQ(decide(schedule, schedule.since, on("00:30:00")).wake, due);
  EXPECT_THAT(decide(schedule, schedule.since, due - 1ms).fire, IsEmpty());
  EXPECT_THAT(decide(schedule, schedule.since, due).fire, ElementsAre(on("01:00:00")));
}

// Whatever its jitter and however often somebody looks: each instant once, in order, none lost.
TEST(Schedule, EachInstantFiresOnceHoweverOftenSomebodyLooks) {
  for (const Duration jitter : {Duration{0s}, Duration{45s}, Duration{10min}}) {
    Schedule schedule = schedule_of("*/2 * * * *");
    schedule.jitter = jitter;
    std::vector<WallTime> fired;
    WallTime handled = schedule.since;
    for (WallTime now = schedule.since; now < on("06:00:00"); now += 7s) {
      const auto decision = decide(schedule, handled, now);
      EXPECT_EQ(decision.missed, 0u);
      fired.insert(fired.end(), decision.fire.begin(), decision.fire.end());
      handled = decision.handled;
      if (decision.wake) {
        EXPECT_GT(*decision.wake, now);
      }
    }
    ASSERT_GE(fired.size(), 170u);
    for (std::size_t i = 0; i < fired.size(); ++i) {
      EXPECT_EQ(fired[i], schedule.since + 2min * (static_cast<int>(i) + 1));
    }
  }
}

TEST(Schedule, ItsEventIsNamedAfterTheInstant) {
  Schedule schedule = schedule_of("@hourly");
  schedule.attributes = {{"team", "billing"}};
  schedule.tenant = "acme";
  auto event = event_of(schedule, on("03:00:00"));
  EXPECT_EQ(event.type, "schedule.fired");
  EXPECT_EQ(event.source, "/schedules/nightly");
  EXPECT_EQ(event.subject, "nightly");
  EXPECT_EQ(event.id, "nightly@2026-11-28T03:00:00.000Z");
  EXPECT_EQ(event.time, "2026-11-28T03:00:00.000Z");
  EXPECT_EQ(event.content_type, "application/json");
  EXPECT_EQ(event.data, R"({"schedule":"nightly","scheduled_at":"2026-11-28T03:00:00.000Z"})");
  EXPECT_EQ(event.options.tenant, "acme");
  schedule.data = "make it so";
  schedule.content_type = "text/plain";
  event = event_of(schedule, on("03:00:00"));
  EXPECT_EQ(event.data, "make it so");
  EXPECT_EQ(event.content_type, "text/plain");
}

std::string why_refused(const Schedule& schedule) {
  const auto fine = check(schedule);
  return fine ? "taken" : fine.error().message;
}

TEST(Schedule, WhatMakesNoSenseIsRefused) {
  Schedule good = schedule_of("rate(5 minutes)");
  EXPECT_EQ(why_refused(good), "taken");
  Schedule bad = good;
  bad.name = "a/b";
  EXPECT_THAT(why_refused(bad), HasSubstr("is no name"));
  bad = good;
  bad.jitter = 6min;
  EXPECT_THAT(why_refused(bad), HasSubstr("period, 5m"));
  bad = good;
  bad.start = on("10:00:00");
  bad.end = on("09:00:00");
  EXPECT_THAT(why_refused(bad), HasSubstr("before its start"));
  bad = good;
  bad.attributes = {{"Team", "x"}};
  EXPECT_THAT(why_refused(bad), HasSubstr("extension"));
  bad = schedule_of("at(2026-11-27T00:00:00)");
  EXPECT_THAT(why_refused(bad), HasSubstr("never fires after"));
  bad = good;
  bad.overlap = Overlap::kSkip;
  bad.ordering_key = "mine";
  EXPECT_THAT(why_refused(bad), HasSubstr("ordering key of its own"));
  bad = good;
  bad.catch_up_max = 0;
  EXPECT_THAT(why_refused(bad), HasSubstr("catch_up_max"));
}

TEST(ScheduleJson, BringsBackWhatItWasGiven) {
  Schedule schedule = schedule_of("cron(0 12 ? * MON-FRI *)");
  EXPECT_EQ(*schedule_from_json(to_json(schedule)), schedule);
  schedule.zone = *TimeZone::find("Europe/Berlin");
  schedule.start = on("01:00:00");
  schedule.end = on("23:00:00.500");
  schedule.jitter = 90s;
  schedule.missed = Missed::kCatchUp;
  schedule.catch_up_max = 7;
  schedule.overlap = Overlap::kSkip;
  schedule.enabled = false;
  schedule.data = std::string("\xff\0", 2);
  schedule.content_type = "application/octet-stream";
  schedule.attributes = {{"team", "billing"}, {"region", "eu"}};
  schedule.tenant = "t";
  schedule.ordering_key = "k";
  EXPECT_EQ(*schedule_from_json(to_json(schedule)), schedule);
  schedule.data = "";
  EXPECT_EQ(*schedule_from_json(to_json(schedule)), schedule);
}

TEST(ScheduleJson, NamesTheMemberThatIsWrong) {
  const auto why = [](const std::string& json) {
    const auto schedule = schedule_from_json(json);
    return schedule ? "taken" : schedule.error().message;
  };
  EXPECT_THAT(why("[]"), HasSubstr("JSON object"));
  EXPECT_THAT(why(R"({"name":"a"})"), HasSubstr("is no schedule"));
  EXPECT_THAT(why(R"({"expression":"@daily","zone":"Mars/Base"})"), HasSubstr("Mars/Base"));
  EXPECT_THAT(why(R"({"expression":"@daily","jitter":"soon"})"), HasSubstr("jitter"));
  EXPECT_THAT(why(R"({"expression":"@daily","missed":"always"})"), HasSubstr("fire_once"));
  EXPECT_THAT(why(R"({"expression":"@daily","overlap":1})"), HasSubstr("overlap is no text"));
  EXPECT_THAT(why(R"({"expression":"@daily","ends":"x"})"), HasSubstr("ends is unknown"));
  EXPECT_THAT(why(R"({"expression":"@daily","attributes":["x"]})"), HasSubstr("attributes"));
}

}  // namespace
}  // namespace fanfare::triggers

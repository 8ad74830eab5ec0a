// fanfare2_meter on a real Redis.
#include "store/keys.h"
#include "store/test_store.h"
#include "store/usage.h"

namespace fanfare::store::test {
namespace {

Meter meter_of(std::uint64_t sequence, std::vector<Meter::Row> rows) {
  return {.worker = "w:1:2", .sequence = sequence, .rows = std::move(rows)};
}

class Metering : public ::testing::Test {
 protected:
  std::string row(std::int64_t hour, const std::string& field) {
    return store.command({"HGET", usage_key(hour), field});
  }
  TestStore store{{.append_only = false}};
};

TEST_F(Metering, AddsUpByHourFunctionAndTenant) {
  store.get<Metered>(
      meter_of(1, {{10, "f", "", {1, 0, 5, 1280, 100}}, {10, "f", "acme", {2, 1, 7, 1792, 300}}}));
  store.get<Metered>(
      meter_of(2, {{10, "f", "acme", {1, 0, 1, 256, 200}}, {11, "g", "", {1, 1, 2, 512, 50}}}));
  EXPECT_EQ(row(10, "f "), "1 0 5 1280 100");
  EXPECT_EQ(row(10, "f acme"), "3 1 8 2048 300");
  EXPECT_EQ(row(11, "g "), "1 1 2 512 50");
  const std::string ttl = store.command({"TTL", usage_key(10)});
  EXPECT_NEAR(std::stod(ttl), 90 * 24 * 3600.0, 60);
}

TEST_F(Metering, ARepeatIsCountedOnce) {
  const Meter first = meter_of(1, {{10, "f", "", {1, 0, 5, 1280, 100}}});
  EXPECT_FALSE(store.get<Metered>(first).repeated);
  EXPECT_TRUE(store.get<Metered>(first).repeated);
  EXPECT_EQ(row(10, "f "), "1 0 5 1280 100");
  Meter other = first;
  other.worker = "w:1:3";  // the process that came after
  EXPECT_FALSE(store.get<Metered>(other).repeated);
  EXPECT_EQ(row(10, "f "), "2 0 10 2560 100");
}

TEST_F(Metering, TenantsBeyondWhatAnHourHoldsShareARow) {
  std::vector<Meter::Row> rows;
  for (int i = 0; i < 200; ++i) rows.push_back({10, "f", "t" + std::to_string(i), {1, 0, 1, 1, 1}});
  Meter meter = meter_of(1, rows);
  meter.hour_rows_max = 50;
  store.get<Metered>(meter);
  EXPECT_EQ(row(10, "f (other)"), "150 0 150 150 1");
  meter.sequence = 2;
  store.get<Metered>(meter);
  EXPECT_EQ(row(10, "f t0"), "2 0 2 2 1");
  EXPECT_EQ(row(10, "f (other)"), "300 0 300 300 1");
  EXPECT_EQ(store.command({"HLEN", usage_key(10)}), "51");
}

TEST_F(Metering, LargeSumsStayExact) {
  constexpr std::uint64_t kLarge = 9'007'199'254'740'000;  // below 2^53
  store.get<Metered>(meter_of(1, {{10, "f", "", {1, 0, kLarge, kLarge, 1}}}));
  store.get<Metered>(meter_of(2, {{10, "f", "", {1, 0, 991, 1, 1}}}));
  EXPECT_EQ(row(10, "f "), "2 0 9007199254740991 9007199254740001 1");
}

TEST_F(Metering, ACallThatIsWrongIsRefusedWhole) {
  EXPECT_EQ(store.refusal(meter_of(1, {})), ErrorKind::kReject);
  EXPECT_EQ(store.refusal(meter_of(1, {{10, "no name!", "", {}}})), ErrorKind::kReject);
  EXPECT_EQ(store.refusal(meter_of(1, std::vector<Meter::Row>(257, {10, "f", "", {}}))),
            ErrorKind::kReject);
  store.command({"SET", usage_key(10), "somebody's"});
  EXPECT_EQ(store.refusal(meter_of(1, {{9, "f", "", {1, 0, 1, 1, 1}}, {10, "f", "", {}}})),
            ErrorKind::kReject);
  EXPECT_EQ(store.command({"EXISTS", usage_key(9)}), "0");
}

}  // namespace
}  // namespace fanfare::store::test

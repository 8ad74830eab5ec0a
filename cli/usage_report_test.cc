#include "cli/usage_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fanfare::cli {
namespace {

std::vector<UsageRow> some_rows() {
  return {{500'000, "resize", "acme", {2, 1, 1000, 256'000, 26'000}},
          {500'000, "resize", "=1+1", {1, 0, 24, 6'144, 100}},
          {500'001, "resize", "acme", {3, 0, 24, 6'144, 30'000}}};
}

TEST(UsageReport, AddsHoursUp) {
  const auto sums = add_hours_up(some_rows());
  ASSERT_EQ(sums.size(), 2u);
  EXPECT_EQ(sums[1].tenant, "acme");
  EXPECT_EQ(sums[1].usage, (store::Usage{5, 1, 1024, 262'144, 30'000}));
}

TEST(UsageReport, TheColumnsOfTheCsvStayAsTheyAreAndNoTenantIsAFormula) {
  EXPECT_EQ(usage_csv(some_rows()),
            "hour,function,tenant,invocations,failed,billed_ms,gb_seconds,peak_memory_mb\r\n"
            "2027-01-15T08:00Z,resize,acme,2,1,1000,0.250000,26\r\n"
            "2027-01-15T08:00Z,resize,'=1+1,1,0,24,0.006000,1\r\n"
            "2027-01-15T09:00Z,resize,acme,3,0,24,0.006000,30\r\n");
  EXPECT_EQ(usage_csv({{0, "f", "a \"b\", c", {}}}).substr(77),
            "1970-01-01T00:00Z,f,\"a \"\"b\"\", c\",0,0,0,0.000000,0\r\n");
}

TEST(UsageReport, JsonHasRowsAndATotal) {
  const auto json =
      nlohmann::json::parse(usage_json(add_hours_up(some_rows()), "2027-01-15T08:00Z"));
  EXPECT_EQ(json["since"], "2027-01-15T08:00Z");
  ASSERT_EQ(json["rows"].size(), 2u);
  EXPECT_EQ(json["rows"][1]["function"], "resize");
  EXPECT_EQ(json["rows"][1]["invocations"], 5);
  EXPECT_DOUBLE_EQ(json["rows"][1]["gb_seconds"].get<double>(), 0.256);
  EXPECT_EQ(json["rows"][1]["peak_memory_mb"], 30);
  EXPECT_EQ(json["total"]["billed_ms"], 1048);
}

TEST(UsageReport, TheTableEndsWithTheSum) {
  const std::string table = usage_table(add_hours_up(some_rows()), false);
  EXPECT_NE(table.find("FUNCTION  TENANT  INVOCATIONS"), std::string::npos) << table;
  EXPECT_NE(table.find("all"), std::string::npos);
}

}  // namespace
}  // namespace fanfare::cli

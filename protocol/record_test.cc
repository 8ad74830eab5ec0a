#include "protocol/record.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "protocol/samples.h"

namespace fanfare::protocol {
namespace {

constexpr EventId kId{{1795444620125, 3}, 7};

nlohmann::json json_of(const ResultRecord& record) {
  return nlohmann::json::parse(to_json(record, kId, "wordcount"));
}

TEST(Ledger, GrowsByAppendingAndComesBackInOrder) {
  std::string ledger;
  std::vector<AttemptRow> rows;
  std::mt19937 random{2};
  for (std::uint32_t number = 1; number <= 100; ++number) {
    AttemptRow row = number % 2 ? samples::failed_row() : samples::ok_row();
    row.number = number;
    row.duration_us = static_cast<std::uint32_t>(random());
    append_row(ledger, row);
    rows.push_back(row);
  }
  const auto unpacked = unpack_ledger(ledger);
  ASSERT_TRUE(unpacked) << unpacked.error().message;
  EXPECT_EQ(*unpacked, rows);
  EXPECT_TRUE(unpack_ledger("")->empty());
}

TEST(Ledger, IsRefusedWhenItEndsInsideARow) {
  std::string ledger;
  append_row(ledger, samples::failed_row());
  const std::size_t one = ledger.size();
  append_row(ledger, samples::ok_row());
  for (std::size_t size = 1; size < ledger.size(); ++size) {
    EXPECT_EQ(unpack_ledger(std::string_view{ledger}.substr(0, size)).has_value(), size == one)
        << size;
  }
}

// As rows were before they told the generation; Redis keeps them for as long as results live.
TEST(Ledger, OfAnOlderBuildIsReadBesideNewRows) {
  std::string older, ledger;
  append_row(older, samples::failed_row());
  ASSERT_EQ(older.front(), '\x9c');
  older.front() = '\x9b';
  older.pop_back();
  ledger = older;
  append_row(ledger, samples::ok_row());
  const auto rows = unpack_ledger(ledger);
  ASSERT_TRUE(rows) << rows.error().message;
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ(rows->at(0).generation, 0u);
  EXPECT_EQ(rows->at(0).error_message, samples::failed_row().error_message);
  EXPECT_EQ(rows->at(1), samples::ok_row());
}

TEST(ResultRecord, ComesBackAsItWasPacked) {
  for (const ResultRecord& record :
       {samples::succeeded_result(), samples::failed_result(), ResultRecord{}}) {
    const auto unpacked = unpack_result(pack(record));
    ASSERT_TRUE(unpacked) << unpacked.error().message;
    EXPECT_EQ(*unpacked, record);
  }
}

TEST(ResultRecord, IsRefusedWhenItEndsEarly) {
  const std::string packed = pack(samples::failed_result());
  for (std::size_t size = 0; size < packed.size(); ++size) {
    EXPECT_FALSE(unpack_result(std::string_view{packed}.substr(0, size)));
  }
  EXPECT_FALSE(unpack_result(packed + "x"));
}

TEST(ResultRecord, CutsWhatUsersCodeSaidToOneKilobyteOfText) {
  ResultRecord record = samples::failed_result();
  record.error_message = std::string(2000, 'x') + "\xFF";
  const auto unpacked = unpack_result(pack(record));
  ASSERT_TRUE(unpacked);
  EXPECT_EQ(unpacked->error_message, std::string(1024, 'x'));
}

TEST(ResultJson, ShowsASuccessWithItsAttempts) {
  const auto json = json_of(samples::succeeded_result());
  EXPECT_EQ(json["id"], "1795444620125-3.7");
  EXPECT_EQ(json["function"], "wordcount");
  EXPECT_EQ(json["status"], "succeeded");
  EXPECT_EQ(json["output"]["words"], 3);
  EXPECT_EQ(json["content_type"], "application/json");
  EXPECT_TRUE(json["error"].is_null());
  EXPECT_TRUE(json["reason"].is_null());
  EXPECT_EQ(json["log"], "counted\n");
  EXPECT_EQ(json["log_truncated"], false);
  EXPECT_EQ(json["queued_ms"], 5);
  EXPECT_EQ(json["total_ms"], 1006);
  EXPECT_EQ(json["billed_ms"], 3);
  EXPECT_DOUBLE_EQ(json["gb_seconds"], 0.25 * 0.003);
  ASSERT_EQ(json["attempts"].size(), 2u);
  const auto& first = json["attempts"][0];
  EXPECT_EQ(first["number"], 1);
  EXPECT_EQ(first["outcome"], "function_error");
  EXPECT_EQ(first["started"], "2026-11-23T14:37:00.130Z");
  EXPECT_DOUBLE_EQ(first["duration_ms"], 1.25);
  EXPECT_EQ(first["cold_start"], true);
  EXPECT_DOUBLE_EQ(first["cold_start_ms"], 0.87);
  EXPECT_EQ(first["peak_memory_kb"], 4096);
  EXPECT_EQ(first["billed_ms"], 2);
  EXPECT_EQ(first["worker"], "host-1");
  EXPECT_EQ(first["instance"], 4711);
  EXPECT_EQ(first["error"]["message"], "email is missing");
  EXPECT_TRUE(json["attempts"][1]["error"].is_null());
}

TEST(ResultJson, ShowsAFailureWithItsReason) {
  const auto json = json_of(samples::failed_result());
  EXPECT_EQ(json["status"], "failed");
  EXPECT_EQ(json["error"]["type"], "ValidationError");
  EXPECT_EQ(json["reason"], "not_retryable");
  EXPECT_TRUE(json["output"].is_null());
}

TEST(ResultJson, WritesOutputByWhatItIs) {
  ResultRecord record = samples::succeeded_result();
  record.output = "{broken";
  EXPECT_EQ(json_of(record)["output"], "{broken");
  record.content_type = "text/plain";
  record.output = "5";
  EXPECT_EQ(json_of(record)["output"], "5");
  record.output = "\xFF\xFE";
  EXPECT_EQ(json_of(record)["output"]["base64"], "//4=");
  record.content_type = "application/json";
  record.output = std::string(5000, '[');
  EXPECT_EQ(json_of(record)["output"], record.output);
}

TEST(ResultJson, SurvivesALedgerThatCannotBeRead) {
  ResultRecord record = samples::succeeded_result();
  record.ledger = "\xC1junk";
  record.log_tail = "\xFFlog";
  const auto json = json_of(record);
  EXPECT_TRUE(json["attempts"].empty());
  EXPECT_EQ(json["log"], "\xEF\xBF\xBDlog");
}

}  // namespace
}  // namespace fanfare::protocol

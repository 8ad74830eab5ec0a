#include "triggers/storage_event.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "triggers/s3_notification.h"

namespace fanfare::triggers {
namespace {

using nlohmann::json;

StorageBatch batch_of(Announcement announcement) {
  return {"lasting-x", 7, 1'764'324'672'345, {std::move(announcement)}};
}
protocol::Event event_of_announcement(const Announcement& announcement,
                                      StorageEventOptions options = {}) {
  return to_event("photos", batch_of(announcement), announcement, options);
}
const Announcement kCafe{StorageChange::kCreated,
                         "summer 2026/café.jpg",
                         {0x801, 0x1234, 1'764'324'672'000'000'001, 1024},
                         0x1870000000000001};

TEST(StorageEvent, OfACreatedFileHasTheShapeOfS3) {
  const auto event = event_of_announcement(kCafe);
  EXPECT_EQ(event.type, "storage.object.created");
  EXPECT_EQ(event.source, "/storage/photos");
  EXPECT_EQ(event.subject, "photos/summer 2026/café.jpg");
  EXPECT_EQ(event.id, "801-1234-187c23f0ff048001-400-1870000000000001");
  EXPECT_EQ(event.time, "2025-11-28T10:11:12.345Z");
  const json record = json::parse(event.data)["Records"][0];
  EXPECT_EQ(record["eventVersion"], "2.1");
  EXPECT_EQ(record["eventName"], "ObjectCreated:Put");
  EXPECT_EQ(record["eventTime"], event.time);
  EXPECT_EQ(record["s3"]["bucket"]["name"], "photos");
  EXPECT_EQ(record["s3"]["object"]["key"], "summer+2026/caf%C3%A9.jpg");
  EXPECT_EQ(record["s3"]["object"]["size"], 1024);
  EXPECT_EQ(record["s3"]["object"]["eTag"].get<std::string>().size(), 34u);
  EXPECT_EQ(record["s3"]["object"]["sequencer"], "1870000000000001");

  // And is read as S3's own are.
  const auto read = read_s3_notification(event.data);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->events.at(0).type, event.type);
  EXPECT_EQ(read->events.at(0).subject, event.subject);
}

TEST(StorageEvent, OfARemovedFileSaysNothingOfItsContent) {
  Announcement removed = kCafe;
  removed.change = StorageChange::kRemoved;
  const auto event = event_of_announcement(removed);
  EXPECT_EQ(event.type, "storage.object.removed");
  EXPECT_NE(event.id, event_of_announcement(kCafe).id);
  const json object = json::parse(event.data)["Records"][0]["s3"]["object"];
  EXPECT_FALSE(object.contains("size"));
  EXPECT_EQ(object["sequencer"], "1870000000000001");
}

TEST(StorageEvent, OfAFileWhoseNameIsNoTextHasItsKeyEncoded) {
  Announcement announcement = kCafe;
  announcement.path = "a\xFF\n\"b";
  const auto event = event_of_announcement(announcement);
  EXPECT_EQ(event.subject, "photos/a%FF%0A%22b");
  EXPECT_TRUE(protocol::view_event(protocol::pack(event)));
  EXPECT_EQ(json::parse(event.data)["Records"][0]["s3"]["object"]["key"], "a%FF%0A%22b");
}

TEST(StorageEvent, OfOneObjectRunInOrderOnlyIfAsked) {
  EXPECT_EQ(event_of_announcement(kCafe).options.ordering_key, "");
  EXPECT_EQ(event_of_announcement(kCafe, {.ordered = true}).options.ordering_key,
            "photos/summer 2026/café.jpg");
  Announcement longest = kCafe;
  longest.path = std::string(1024, 'k');
  const auto event = event_of_announcement(longest, {.ordered = true});
  EXPECT_EQ(event.options.ordering_key.size(), 64u);
  EXPECT_TRUE(protocol::view_event(protocol::pack(event)));
}

TEST(StorageKey, IsEncodedAsS3DoesAndDecodedAgain) {
  std::string all;
  for (int c = 1; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(decode_storage_key(encode_storage_key(all)), all);
  EXPECT_EQ(encode_storage_key("a b+c/d.e-f_g*"), "a+b%2Bc/d.e-f_g*");
  EXPECT_EQ(decode_storage_key("%"), std::nullopt);
  EXPECT_EQ(decode_storage_key("%4"), std::nullopt);
  EXPECT_EQ(decode_storage_key("%zz"), std::nullopt);
}

TEST(StorageKey, HasBounds) {
  EXPECT_TRUE(is_storage_key("b", std::string(1024, 'k')));
  EXPECT_FALSE(is_storage_key("b", std::string(1025, 'k')));
  EXPECT_FALSE(is_storage_key("b", std::string(1000, '\xFF'))) << "its subject would be too long";
  EXPECT_FALSE(is_storage_key("b", ""));
  EXPECT_TRUE(is_bucket_name("photos.2026_a-B"));
  for (const char* name : {"", ".x", "a/b", "a b", "a*"})
    EXPECT_FALSE(is_bucket_name(name)) << name;
}

}  // namespace
}  // namespace fanfare::triggers

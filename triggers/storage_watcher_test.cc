#include "triggers/storage_thread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/temp_dir.h"

namespace fanfare::triggers {
namespace {

using ::testing::HasSubstr;

class StorageWatcherOptionsTest : public ::testing::Test {
 protected:
  std::string refusal_of(std::vector<std::pair<std::string, std::string>> buckets,
                         const std::string& state) {
    StorageWatcherOptions options;
    options.broker = "ipc://" + dir.file("broker.ipc");
    options.state_directory = state;
    for (auto& [name, directory] : buckets) {
      StorageBucketOptions bucket;
      bucket.name = name;
      bucket.directory = directory;
      options.buckets.push_back(bucket);
    }
    const auto opened = StorageWatcher::open(loop, zmq, options);
    return opened ? "" : opened.error().message;
  }

  test::TempDir dir;
  Loop loop;
  ZmqContext zmq;
};

TEST_F(StorageWatcherOptionsTest, AreRefusedWithWhatWouldDo) {
  const std::string state = dir.file("state"), photos = dir.file("photos");
  EXPECT_EQ(refusal_of({{"photos", photos}}, state), "") << "that it is not there is no error";
  EXPECT_THAT(refusal_of({{"a/b", photos}}, state), HasSubstr("1 to 63 of"));
  EXPECT_THAT(refusal_of({{"a", photos}, {"a", photos}}, state), HasSubstr("named twice"));
  EXPECT_THAT(refusal_of({{"a", "photos"}}, state), HasSubstr("absolute path"));
  EXPECT_THAT(refusal_of({{"a", photos}}, photos + "/state"), HasSubstr("keep it elsewhere"));
  EXPECT_THAT(refusal_of({{"a", photos}}, photos), HasSubstr("keep it elsewhere"));
  EXPECT_THAT(refusal_of({{"a", photos + "/./"}}, photos + "/state"), HasSubstr("elsewhere"));
  EXPECT_EQ(refusal_of({{"a", photos}}, photos + "-state"), "");
  std::vector<std::pair<std::string, std::string>> many;
  for (int i = 0; i < 65; ++i) many.emplace_back("b" + std::to_string(i), photos);
  EXPECT_THAT(refusal_of(many, state), HasSubstr("64 at most"));
}

TEST_F(StorageWatcherOptionsTest, OfABucketThatSomebodyElseKeepsAreRefused) {
  const std::string state = dir.file("state"), photos = dir.file("photos");
  StorageWatcherOptions options;
  options.broker = "ipc://" + dir.file("broker.ipc");
  options.state_directory = state;
  options.buckets.emplace_back();
  options.buckets[0].name = "photos";
  options.buckets[0].directory = photos;
  const auto first = StorageWatcher::open(loop, zmq, options);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_THAT(refusal_of({{"photos", photos}}, state), HasSubstr("another watcher keeps"));
}

// Without a broker: what is published waits, and the thread can be ended all the same.
TEST_F(StorageWatcherOptionsTest, OfAThreadOfItsOwnAreWatchedThere) {
  const std::string photos = dir.file("photos");
  std::filesystem::create_directory(photos);
  std::ofstream(photos + "/a") << "x";
  StorageWatcherOptions options;
  options.broker = "ipc://" + dir.file("broker.ipc");
  options.state_directory = dir.file("state");
  options.buckets.emplace_back();
  options.buckets[0].name = "photos";
  options.buckets[0].directory = photos;
  const auto thread = StorageThread::start(options);
  ASSERT_TRUE(thread) << thread.error().message;
  const auto is_under_way = [&] { return (*thread)->status().at(0).in_flight; };
  for (int i = 0; i < 500 && !is_under_way(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  EXPECT_TRUE(is_under_way());
  MetricsText text;
  tell_storage(text, (*thread)->status());
  const std::string metrics = text.take();
  EXPECT_THAT(metrics, HasSubstr("fanfare_triggers_storage_files{bucket=\"photos\"} 0\n"));
  EXPECT_THAT(metrics, HasSubstr("fanfare_triggers_storage_directories{bucket=\"photos\","
                                 "state=\"watched\"} 1\n"));
  (*thread)->begin_stop();
  EXPECT_FALSE((*thread)->stopped()) << "nobody has answered";
  EXPECT_THAT(StorageThread::start(options).error().message, HasSubstr("another watcher keeps"));
}

}  // namespace
}  // namespace fanfare::triggers

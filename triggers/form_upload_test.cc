#include "triggers/form_upload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/temp_dir.h"

namespace fanfare::triggers {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using Json = nlohmann::json;
namespace fs = std::filesystem;

std::string text_part(const std::string& name, const std::string& text) {
  return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + text + "\r\n";
}
std::string file_part(const std::string& name, const std::string& file, const std::string& bytes) {
  return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"" + file +
         "\"\r\nContent-Type: image/png\r\n\r\n" + bytes + "\r\n";
}
const std::string kEnd = "--b--\r\n";

std::string bytes_of(const fs::path& file) {
  std::ifstream in{file};
  return {std::istreambuf_iterator<char>{in}, {}};
}

// A bucket, and what of it is visible.
class Uploads {
 public:
  explicit Uploads(std::string of) : directory(std::move(of)) {
    disk = std::make_shared<DiskThreads>(loop, 2);
    folder = std::make_shared<UploadFolder>("uploads", directory);
  }
  ~Uploads() { disk->stop(); }

  std::unique_ptr<FormUpload> begin() {
    return std::make_unique<FormUpload>("b", limits, std::make_unique<Upload>(disk, folder),
                                        counters);
  }
  FormUpload::Outcome finish(FormUpload& upload, const std::string& repeat_key = {}) {
    std::optional<FormUpload::Outcome> outcome;
    upload.finish("contact", repeat_key,
                  [&](FormUpload::Outcome one) { outcome = std::move(one); });
    EXPECT_TRUE(loop.run_until([&] { return outcome.has_value(); }, 10s));
    return std::move(outcome).value_or(FormUpload::Outcome{});
  }
  // What the threads of the disk have been given is done.
  void settle() {
    disk->stop();
    disk = std::make_shared<DiskThreads>(loop, 2);
  }
  std::vector<std::string> files(const std::string& below = "contact") const {
    std::vector<std::string> all;
    std::error_code none;
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(directory) / below, none)) {
      const std::string name = entry.path().filename();
      const bool is_lock =
          below == kUploadsDirectory && (name == "gate" || name.ends_with(".lock"));
      if (entry.is_regular_file() && !is_lock) all.push_back(entry.path());
    }
    return all;
  }

  std::string directory;
  Loop loop;
  std::shared_ptr<DiskThreads> disk;
  std::shared_ptr<UploadFolder> folder;
  FormUploadCounters counters;
  FormUploadLimits limits;
};

struct FormUploads : testing::Test {
  test::TempDir dir;
  Uploads uploads{dir.path().string()};
};

TEST_F(FormUploads, PutFilesIntoTheirBucketAndReferToThem) {
  std::string large;
  for (int i = 0; i < 300'000; ++i) large += static_cast<char>(i * 7 + i / 256);
  auto upload = uploads.begin();
  const std::string body = text_part("name", "Ada") + file_part("photo", "cat.png", large) +
                           file_part("photo", "cat.png", "other") + file_part("none", "", "") +
                           file_part("empty", "../a b.txt", "") + text_part("name", "L") + kEnd;
  for (std::size_t at = 0; at < body.size(); at += 10'000) {
    ASSERT_FALSE(upload->take(std::string_view{body}.substr(at, 10'000)));
    if (upload->is_full()) uploads.loop.run_until([&] { return !upload->is_full(); }, 10s);
  }
  const auto outcome = uploads.finish(*upload);
  ASSERT_FALSE(outcome.refusal) << outcome.refusal->body;
  EXPECT_THAT(upload->fields(), ElementsAre(Pair("name", "Ada"), Pair("name", "L")));
  const Json data = Json::parse(to_json(upload->fields(), {}, outcome.references));
  EXPECT_EQ(data["name"], (Json{"Ada", "L"}));
  ASSERT_THAT(data["photo"], SizeIs(2));
  EXPECT_FALSE(data.contains("none")) << "an input that was left empty";
  const Json& cat = data["photo"][0];
  EXPECT_EQ(cat["name"], "cat.png");
  EXPECT_EQ(cat["bucket"], "uploads");
  EXPECT_EQ(cat["size"], large.size());
  EXPECT_EQ(cat["type"], "image/png");
  EXPECT_EQ(cat["etag"], sha256_hex(large));
  EXPECT_EQ(cat["path"], uploads.directory + "/" + std::string{cat["key"]});
  EXPECT_TRUE(std::string{cat["key"]}.starts_with("contact/"));
  EXPECT_TRUE(bytes_of(std::string{cat["path"]}) == large);
  EXPECT_EQ(data["photo"][1]["name"], "cat-2.png");
  EXPECT_EQ(bytes_of(std::string{data["photo"][1]["path"]}), "other");
  EXPECT_EQ(data["empty"]["name"], "a b.txt");
  EXPECT_EQ(data["empty"]["size"], 0);
  EXPECT_EQ(uploads.counters.files, 3u);
  EXPECT_EQ(uploads.counters.bytes, large.size() + 5);

  upload->keep_files(true);
  upload.reset();
  uploads.settle();
  EXPECT_THAT(uploads.files(), SizeIs(3));
  EXPECT_THAT(uploads.files(kUploadsDirectory), IsEmpty());
}

TEST_F(FormUploads, LeaveNothingOfWhatIsNotKept) {
  auto refused = uploads.begin(), broken_off = uploads.begin(), unfinished = uploads.begin();
  ASSERT_FALSE(refused->take(file_part("a", "a.txt", "all of it") + kEnd));
  EXPECT_FALSE(uploads.finish(*refused).refusal);
  EXPECT_THAT(uploads.files(), SizeIs(1));
  ASSERT_FALSE(broken_off->take(file_part("a", "a.txt", std::string(200'000, 'x'))));
  ASSERT_FALSE(unfinished->take(file_part("a", "a.txt", "x")));
  EXPECT_EQ(uploads.finish(*unfinished).refusal->status, 400u);
  refused.reset();
  broken_off.reset();
  unfinished.reset();
  uploads.settle();
  EXPECT_FALSE(fs::exists(fs::path(uploads.directory) / "contact"));
  EXPECT_THAT(uploads.files(kUploadsDirectory), IsEmpty());
}

TEST_F(FormUploads, RemoveWhatKilledProcessesHaveLeftAndNothingElse) {
  auto alive = uploads.begin();
  ASSERT_FALSE(alive->take(file_part("a", "a.txt", std::string(100'000, 'x'))));
  uploads.settle();
  EXPECT_THAT(uploads.files(kUploadsDirectory), SizeIs(1));
  const fs::path dead = fs::path(uploads.directory) / kUploadsDirectory / "1-dead" / "1";
  fs::create_directories(dead);
  std::ofstream{dead / "half.png"} << "half";
  std::ofstream{dead.parent_path().string() + ".lock"}.close();
  UploadFolder next("uploads", uploads.directory);
  ASSERT_TRUE(next.open());
  EXPECT_FALSE(fs::exists(dead.parent_path()));
  EXPECT_FALSE(fs::exists(dead.parent_path().string() + ".lock"));
  EXPECT_THAT(uploads.files(kUploadsDirectory), SizeIs(1)) << "of a process that lives";
  ASSERT_FALSE(alive->take(kEnd));
}

TEST_F(FormUploads, HaveBounds) {
  uploads.limits = {
      .text_bytes_max = 100, .files_max = 2, .file_bytes_max = 50, .files_bytes_max = 80};
  const auto refusal = [&](const std::string& body) {
    const auto response = uploads.begin()->take(body);
    return response ? std::to_string(response->status) + " " + response->body : "";
  };
  EXPECT_EQ(refusal(text_part("name", std::string(90, 'x')) + kEnd), "");
  EXPECT_THAT(refusal(text_part("name", std::string(97, 'x'))), HasSubstr("413 "));
  EXPECT_THAT(refusal(text_part("name", "") + text_part(std::string(97, 'x'), "")),
              HasSubstr("max_bytes"));
  EXPECT_THAT(refusal(file_part("a", "a", std::string(51, 'x'))), HasSubstr("max_file_bytes"));
  const std::string forty = file_part("a", "a", std::string(40, 'x'));
  EXPECT_EQ(refusal(forty + forty + kEnd), "");
  EXPECT_THAT(refusal(forty + file_part("a", "a", std::string(41, 'x'))),
              HasSubstr("max_files_bytes"));
  EXPECT_THAT(refusal(forty + forty + file_part("a", "a", "")), HasSubstr("max_files)"));
  EXPECT_THAT(refusal(text_part("a", "\xff") + kEnd), HasSubstr("400 "));
  EXPECT_EQ(uploads.counters.malformed, 1u);
  EXPECT_EQ(uploads.counters.too_large, 5u);

  FormUpload without("b", {}, nullptr, uploads.counters, {{"X-Test", "yes"}});
  EXPECT_FALSE(without.take(text_part("a", "b") + file_part("none", "", "")));
  const auto unwanted = without.take(file_part("a", "a.txt", "x"));
  ASSERT_TRUE(unwanted);
  EXPECT_EQ(unwanted->status, 415u);
  EXPECT_THAT(unwanted->body, HasSubstr("this form takes no files"));
  EXPECT_EQ(unwanted->headers.back().name, "X-Test");
  EXPECT_EQ(uploads.counters.unwanted, 1u);
}

TEST_F(FormUploads, TakeNoFilesThatNobodyWouldHearOf) {
  const auto own = uploads.begin()->take(file_part("_next", "a.txt", "x") + kEnd);
  ASSERT_TRUE(own);
  EXPECT_EQ(own->status, 400u);
  EXPECT_THAT(own->body, HasSubstr("has no files"));
  EXPECT_FALSE(uploads.begin()->take(file_part("_next", "", "") + kEnd)) << "left empty";

  for (const std::string trap : {"_gotcha", "website"}) {
    FormUpload baited("b", uploads.limits, std::make_unique<Upload>(uploads.disk, uploads.folder),
                      uploads.counters, {}, trap);
    ASSERT_FALSE(baited.take(file_part(trap, "a.txt", "\xff") + file_part(trap, "", "y") + kEnd));
    ASSERT_THAT(baited.fields(), SizeIs(2));
    EXPECT_EQ(baited.fields()[0], (std::pair<std::string, std::string>{trap, "a.txt"}));
    EXPECT_NE(baited.fields()[1].second, "") << "it has content, if no name";
    EXPECT_THAT(uploads.finish(baited).references, IsEmpty());
  }
  FormUpload empty("b", {}, nullptr, uploads.counters, {}, "website");
  ASSERT_FALSE(empty.take(file_part("website", "", "") + kEnd));
  EXPECT_THAT(empty.fields(), IsEmpty()) << "as people leave it";
  uploads.settle();
  EXPECT_THAT(uploads.files(), IsEmpty());
  EXPECT_THAT(uploads.files(kUploadsDirectory), IsEmpty());
}

TEST_F(FormUploads, HoldTheClientBackWhileTheDiskIsSlow) {
  std::promise<void> go_on;
  uploads.disk = std::make_shared<DiskThreads>(uploads.loop, 1);
  uploads.disk->run(uploads.disk->new_lane(),
                    [waits = go_on.get_future().share()] { waits.wait(); });
  auto upload = uploads.begin();
  int ready = 0;
  upload->on_ready([&] { ++ready; });
  std::string body = file_part("a", "a.txt", std::string(5'000'000, 'x')) + kEnd;
  std::size_t taken = 0;
  while (!upload->is_full() && taken < body.size()) {
    ASSERT_FALSE(upload->take(std::string_view{body}.substr(taken, 16'384)));
    taken += 16'384;
  }
  EXPECT_TRUE(upload->is_full());
  EXPECT_LE(upload->bytes_in_memory(), Upload::kUnwrittenMax + 16'384);
  uploads.loop.run_until([] { return false; }, 20ms);
  EXPECT_EQ(ready, 0);
  go_on.set_value();
  EXPECT_TRUE(uploads.loop.run_until([&] { return ready > 0; }, 10s));
  EXPECT_FALSE(upload->is_full());
}

TEST_F(FormUploads, GivenUpHoldNoMemoryWhileTheDiskStands) {
  std::promise<void> go_on;
  uploads.disk = std::make_shared<DiskThreads>(uploads.loop, 1);
  uploads.disk->run(uploads.disk->new_lane(),
                    [waits = go_on.get_future().share()] { waits.wait(); });
  const std::string body = file_part("a", "a.txt", std::string(200'000, 'x'));
  const std::size_t before = ::mallinfo2().uordblks;
  for (int i = 0; i < 100; ++i) {
    auto upload = uploads.begin();
    ASSERT_FALSE(upload->take(body));
  }
  // 20 MB have come; what is left are their jobs.
  EXPECT_LT(::mallinfo2().uordblks, before + 2'000'000);
  go_on.set_value();
  uploads.settle();
  EXPECT_THAT(uploads.files(kUploadsDirectory), IsEmpty());
}

TEST(DiskThreads, AreNotWaitedForLongerThanOneSays) {
  Loop loop;
  DiskThreads disk(loop, 2);
  std::promise<void> answer;
  bool quick = false;
  disk.run(disk.new_lane(), [waits = answer.get_future().share()] { waits.wait(); });
  disk.run(disk.new_lane(), [&] { quick = true; });
  EXPECT_FALSE(disk.stop_within(20ms));
  answer.set_value();
  EXPECT_TRUE(disk.stop_within(10s));
  EXPECT_TRUE(quick);
}

TEST_F(FormUploads, ThatAreRepeatedHaveOnePlace) {
  const std::string body = file_part("a", "a.txt", "one") + kEnd;
  const auto send = [&](const std::string& key, const std::string& of, bool keep) {
    auto upload = uploads.begin();
    EXPECT_FALSE(upload->take(of));
    const auto outcome = uploads.finish(*upload, key);
    EXPECT_FALSE(outcome.refusal);
    upload->keep_files(keep);
    return std::pair{std::move(upload), outcome.references};
  };
  auto first = send("key", body, true), again = send("key", body, false);
  EXPECT_EQ(first.second, again.second) << "so that it is the same event";
  first.first.reset();
  again.first.reset();
  uploads.settle();
  EXPECT_THAT(uploads.files(), SizeIs(1)) << "the first one's";
  EXPECT_EQ(send("key", body, false).second, first.second);
  uploads.settle();
  EXPECT_THAT(uploads.files(), SizeIs(1)) << "of an earlier event";

  // Nobody knows what other gateways have published of the same submission.
  Uploads another(uploads.directory);
  auto here = send("both", body, false);
  auto there = another.begin();
  ASSERT_FALSE(there->take(body));
  EXPECT_EQ(another.finish(*there, "both").references, here.second);
  there->keep_files(true);
  there.reset();
  another.settle();
  here.first.reset();
  uploads.settle();
  EXPECT_THAT(uploads.files(), SizeIs(2)) << "the other gateway's event has it";
  fs::remove_all(fs::path(std::string{Json::parse(here.second[0].second)["path"]}).parent_path());

  // Its function has changed it, or taken a part of it away: the event is the same one.
  const std::string two = file_part("a", "a.txt", "one") + file_part("b", "b.txt", "two") + kEnd;
  const auto both = send("parts", two, true).second;
  uploads.settle();
  const fs::path place = fs::path(std::string{Json::parse(both[0].second)["path"]}).parent_path();
  std::ofstream{place / "a.txt"} << "of another size";
  EXPECT_EQ(send("parts", two, false).second, both);
  fs::remove(place / "b.txt");
  EXPECT_EQ(send("parts", two, false).second, both);
  uploads.settle();
  EXPECT_EQ(bytes_of(place / "a.txt"), "of another size");
  EXPECT_FALSE(fs::exists(place / "b.txt"));
  fs::remove_all(place);

  // Its function has taken it away; who sends it again has it there again.
  fs::remove(uploads.files().front());
  EXPECT_EQ(send("key", body, true).second, first.second);
  uploads.settle();
  EXPECT_THAT(uploads.files(), SizeIs(1));

  EXPECT_NE(send("key", file_part("a", "a.txt", "two") + kEnd, false).second, first.second);
  EXPECT_NE(send("other", body, false).second, first.second);
  EXPECT_NE(send("", body, false).second, send("", body, false).second);
  uploads.settle();
  EXPECT_THAT(uploads.files(), SizeIs(3)) << "those without a key are gone";
}

TEST_F(FormUploads, SayThatTheDirectoryIsNotThereAndFollowNoLinks) {
  const fs::path elsewhere = fs::path(uploads.directory) / "elsewhere";
  fs::create_directory(elsewhere);
  fs::create_symlink(elsewhere, fs::path(uploads.directory) / "contact");
  auto linked = uploads.begin();
  ASSERT_FALSE(linked->take(file_part("a", "a.txt", "x") + kEnd));
  EXPECT_EQ(uploads.finish(*linked).refusal->status, 500u);
  linked.reset();
  uploads.settle();
  EXPECT_THAT(uploads.files("elsewhere"), IsEmpty());

  uploads.folder = std::make_shared<UploadFolder>("uploads", uploads.directory + "/nowhere");
  auto upload = uploads.begin();
  ASSERT_FALSE(upload->take(file_part("a", "a.txt", "x") + kEnd));
  const auto outcome = uploads.finish(*upload);
  ASSERT_TRUE(outcome.refusal);
  EXPECT_EQ(outcome.refusal->status, 503u);
  EXPECT_THAT(outcome.refusal->body, Not(HasSubstr("nowhere")));
  EXPECT_EQ(uploads.counters.disk, 2u);
  EXPECT_FALSE(fs::exists(uploads.directory + "/nowhere"));
}

// A thread has a mount namespace of its own, and so have those that it starts.
TEST(FormUploadsOnAFullDisk, AreAnsweredWith507AndLeaveNothing) {
  test::TempDir dir;
  bool skipped = false;
  std::thread apart([&] {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=1m") != 0) {
      skipped = true;
      return;
    }
    Uploads uploads(dir.path().string());
    uploads.limits.file_bytes_max = 50u << 20;
    auto upload = uploads.begin();
    const std::string megabyte(1 << 20, 'x');
    std::optional<HttpResponse> refusal = upload->take(file_part("a", "a.txt", ""));
    refusal =
        upload->take(file_part("b", "b.txt", "").substr(0, file_part("b", "b.txt", "").size() - 2));
    for (int i = 0; i < 40 && !refusal; ++i) {
      refusal = upload->take(megabyte);
      uploads.loop.run_until([&] { return !upload->is_full(); }, 10s);
    }
    ASSERT_TRUE(refusal);
    EXPECT_EQ(refusal->status, 507u);
    EXPECT_THAT(refusal->body, HasSubstr("Insufficient Storage"));
    upload.reset();
    uploads.settle();
    EXPECT_THAT(uploads.files(kUploadsDirectory), IsEmpty());
    EXPECT_LT(fs::space(dir.path()).capacity - fs::space(dir.path()).free, 100'000u);
    EXPECT_EQ(uploads.counters.disk, 1u);
  });
  apart.join();
  if (skipped) GTEST_SKIP() << "mounting needs root";
}

}  // namespace
}  // namespace fanfare::triggers

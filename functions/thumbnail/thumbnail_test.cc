#include <fanfare/function.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "functions/testing/function_runner.h"
#include "functions/thumbnail/image.h"
#include "functions/thumbnail/stored_object.h"

namespace thumbnail {
namespace {

namespace fs = std::filesystem;
using fanfare::Failure;

template <typename Action>
std::string failure_type(Action action) {
  try {
    action();
  } catch (const Failure& failure) {
    EXPECT_FALSE(failure.retryable()) << failure.type();
    return failure.type();
  }
  return "none";
}

// Left half one colour, right half another.
Image two_halves(std::uint32_t width, std::uint32_t height, std::vector<std::uint8_t> left,
                 std::vector<std::uint8_t> right) {
  Image image{.width = width,
              .height = height,
              .channels = static_cast<std::uint32_t>(left.size()),
              .pixels = {}};
  for (std::uint32_t y = 0; y < height; ++y) {
    for (std::uint32_t x = 0; x < width; ++x) {
      const auto& colour = x < width / 2 ? left : right;
      image.pixels.insert(image.pixels.end(), colour.begin(), colour.end());
    }
  }
  return image;
}

Image red_and_blue(std::uint32_t width, std::uint32_t height) {
  return two_halves(width, height, {255, 0, 0}, {0, 0, 255});
}

TEST(Thumbnail, ReadsThePngThatItWrote) {
  const Image image = red_and_blue(10, 4);
  const Image again = decode(encode(image, Kind::kPng));
  EXPECT_EQ(again.width, 10u);
  EXPECT_EQ(again.height, 4u);
  EXPECT_EQ(again.pixels, image.pixels);
}

TEST(Thumbnail, ReadsTheJpegThatItWroteAlmostAsItWas) {
  const Image image = red_and_blue(64, 64);
  const Image again = decode(encode(image, Kind::kJpeg));
  ASSERT_EQ(again.pixels.size(), image.pixels.size());
  EXPECT_NEAR(again.pixels[0], 255, 12);
  EXPECT_NEAR(again.pixels[2], 0, 12);
  EXPECT_NEAR(again.pixels[63 * 3 + 2], 255, 12);
}

TEST(Thumbnail, KeepsTheShape) {
  const Image wide = scaled_to_fit(red_and_blue(1000, 250), 128);
  EXPECT_EQ(wide.width, 128u);
  EXPECT_EQ(wide.height, 32u);
  const Image tall = scaled_to_fit(red_and_blue(4, 4000), 128);
  EXPECT_EQ(tall.width, 1u);
  EXPECT_EQ(tall.height, 128u);
  EXPECT_EQ(scaled_to_fit(red_and_blue(128, 5), 128).height, 5u);
}

TEST(Thumbnail, AveragesThePixelsThatItReplaces) {
  const Image small = scaled_to_fit(red_and_blue(2, 1), 1);
  EXPECT_EQ(small.pixels, (std::vector<std::uint8_t>{128, 0, 128}));
  const Image halves = scaled_to_fit(red_and_blue(256, 256), 128);
  EXPECT_EQ(halves.pixels, red_and_blue(128, 128).pixels);
}

TEST(Thumbnail, LetsInvisiblePixelsNotColourTheVisible) {
  const Image image = two_halves(2, 2, {0, 255, 0, 255}, {255, 0, 0, 0});
  EXPECT_EQ(scaled_to_fit(image, 1).pixels, (std::vector<std::uint8_t>{0, 255, 0, 128}));
}

TEST(Thumbnail, RefusesWhatIsBroken) {
  for (const Kind kind : {Kind::kPng, Kind::kJpeg}) {
    const std::string good = encode(red_and_blue(100, 100), kind);
    EXPECT_EQ(failure_type([&] { decode(good); }), "none");
    EXPECT_EQ(failure_type([&] { decode(good.substr(0, good.size() / 2)); }), "DecodeError");
    EXPECT_EQ(failure_type([&] { decode(good.substr(0, 12)); }), "DecodeError");
  }
  EXPECT_EQ(failure_type([] { decode("GIF89a"); }), "DecodeError");
  EXPECT_EQ(failure_type([] { decode(""); }), "DecodeError");
}

TEST(Thumbnail, RefusesMorePixelsThanItHasMemoryFor) {
  std::string png = encode(red_and_blue(8, 8), Kind::kPng);
  // The header says 65,536 by 65,536 (its checksum is put right below).
  const std::string size{0, 1, 0, 0, 0, 1, 0, 0};
  png.replace(16, 8, size);
  std::uint32_t crc = 0xFFFFFFFF;
  for (std::size_t i = 12; i < 29; ++i) {
    crc ^= static_cast<unsigned char>(png[i]);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  crc = ~crc;
  for (int i = 0; i < 4; ++i)
    png[29 + static_cast<std::size_t>(i)] = static_cast<char>(crc >> (24 - 8 * i));
  try {
    decode(png);
    FAIL() << "decoded";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.message(), "65536 x 65536 pixels are more than 50000000");
  }
}

TEST(Thumbnail, FindsTheObjectInEveryShapeOfEvent) {
  const StoredObject s3 = parse_object(
      R"({"Records":[{"s3":{"bucket":{"name":"photos"},"object":{"key":"a/b.png"}}}]})");
  EXPECT_EQ(s3.bucket, "photos");
  EXPECT_EQ(s3.key, "a/b.png");
  EXPECT_EQ(parse_object(R"({"s3":{"bucket":{"name":"b"},"object":{"key":"k"}}})").key, "k");
  EXPECT_EQ(parse_object(R"({"bucket":"b","key":"k"})").bucket, "b");
  EXPECT_EQ(parse_object(R"({"data_base64":"aGVsbG8="})").inline_bytes, "hello");
}

TEST(Thumbnail, RefusesKeysThatLeadOutOfTheirBucket) {
  for (const char* key :
       {"../secret.png", "a/../../b.png", "/etc/passwd.png", "a/./b.png", "%2e%2e/x.png"}) {
    EXPECT_EQ(
        failure_type([&] { parse_object(nlohmann::json{{"bucket", "b"}, {"key", key}}.dump()); }),
        "InvalidKey")
        << key;
  }
  EXPECT_EQ(failure_type([] { parse_object(R"({"bucket":"..","key":"k"})"); }), "InvalidKey");
  EXPECT_EQ(failure_type([] { parse_object("{}"); }), "MalformedEvent");
  EXPECT_EQ(failure_type([] { parse_object("[]"); }), "MalformedEvent");
  EXPECT_EQ(failure_type([] { parse_object(R"({"s3":7})"); }), "MalformedEvent");
  EXPECT_EQ(failure_type([] { parse_object(R"({"data_base64":"!!!!"})"); }), "MalformedEvent");
}

class ThumbnailFunction : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "fanfare-storage-XXXXXX").string();
    storage_ = ::mkdtemp(pattern.data());
    auto runner = fanfare::testing::FunctionRunner::start(
        std::string(FANFARE_BIN_DIR) + "/../functions/thumbnail/thumbnail.so",
        {{"FANFARE_STORAGE", storage_.string()}});
    ASSERT_TRUE(runner) << runner.error().message;
    runner_ = std::move(*runner);
  }
  void TearDown() override { fs::remove_all(storage_); }

  void upload(const std::string& name, std::string_view bytes) {
    fs::create_directories((storage_ / name).parent_path());
    std::ofstream(storage_ / name, std::ios::binary) << bytes;
  }
  fanfare::worker::ItemResult run(const std::string& bucket, const std::string& key) {
    return runner_->run(
        "storage.object.created",
        nlohmann::json{{"s3", {{"bucket", {{"name", bucket}}}, {"object", {{"key", key}}}}}}
            .dump());
  }
  fs::path storage_;
  std::unique_ptr<fanfare::testing::FunctionRunner> runner_;
};

TEST_F(ThumbnailFunction, StoresASmallCopyOfAnUpload) {
  upload("photos/holiday/my beach.png", encode(red_and_blue(512, 256), Kind::kPng));
  const auto result = run("photos", "holiday/my+beach.png");
  ASSERT_EQ(result.outcome, fanfare::protocol::Outcome::kOk) << result.failure.message;
  const auto json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json["width"], 128);
  EXPECT_EQ(json["height"], 64);
  EXPECT_EQ(json["original_width"], 512);
  EXPECT_EQ(json["content_type"], "image/png");
  std::ifstream file(storage_ / "thumbnails" / std::string(json["key"]), std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(json["bytes"], bytes.size());
  EXPECT_EQ(json["sha256"], sha256_hex(bytes));
  EXPECT_EQ(decode(bytes).pixels, red_and_blue(128, 64).pixels);
}

TEST_F(ThumbnailFunction, AnswersAnInlineImageWithItsThumbnail) {
  const std::string jpeg = encode(red_and_blue(300, 300), Kind::kJpeg);
  const auto result = runner_->run("storage.object.created",
                                   nlohmann::json{{"data_base64", to_base64(jpeg)}}.dump());
  ASSERT_EQ(result.outcome, fanfare::protocol::Outcome::kOk) << result.failure.message;
  const auto json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json["width"], 128);
  const std::string small = parse_object(result.output).inline_bytes;
  EXPECT_EQ(kind_of(small), Kind::kJpeg);
  EXPECT_EQ(json["sha256"], sha256_hex(small));
}

TEST_F(ThumbnailFunction, FailsForGoodOnABrokenImage) {
  upload("photos/broken.png", "\x89PNG\r\n\x1a\nand nothing more");
  const auto result = run("photos", "broken.png");
  EXPECT_EQ(result.failure.type, "DecodeError");
  EXPECT_FALSE(result.failure.retryable);
  EXPECT_EQ(run("photos", "never-uploaded.png").failure.type, "ObjectNotFound");
}

TEST_F(ThumbnailFunction, SaysThatItMayNotEnterTheStorage) {
  upload("photos/a.png", encode(red_and_blue(4, 4), Kind::kPng));
  const bool root = ::geteuid() == 0;  // whom no permission stops
  fs::permissions(storage_, root ? fs::perms::owner_all : fs::perms::none);
  if (root) {
    ASSERT_EQ(::seteuid(65534), 0);
  }
  std::string said;
  try {
    read_object(storage_, {.bucket = "photos", .key = "a.png", .inline_bytes = {}});
  } catch (const Failure& failure) {
    said = failure.type() + ": " + failure.message();
    EXPECT_TRUE(failure.retryable());
  }
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  fs::permissions(storage_, fs::perms::owner_all);
  EXPECT_EQ(said, "StorageError: cannot read photos/a.png in " + storage_.string() +
                      ": Permission denied");
}

TEST_F(ThumbnailFunction, DoesNotFollowLinksOutOfTheStorage) {
  fs::create_directories(storage_ / "photos");
  fs::create_symlink("/etc/hostname", storage_ / "photos" / "out.png");
  EXPECT_EQ(run("photos", "out.png").failure.type, "InvalidKey");
}

TEST_F(ThumbnailFunction, LeavesOtherUploadsAndItsOwnAlone) {
  EXPECT_EQ(run("documents", "letter.pdf").output,
            R"({"skipped":"not a PNG or JPEG by its name"})");
  EXPECT_EQ(run("thumbnails", "photos/x.png").output, R"({"skipped":"already a thumbnail"})");
}

}  // namespace
}  // namespace thumbnail

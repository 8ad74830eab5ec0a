#include "triggers/multipart_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "triggers/file_name.h"
#include "triggers/form_part.h"

namespace fanfare::triggers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct TakenParts : MultipartReader::Parts {
  Result<void> on_part(std::string_view head) override {
    all.push_back("[" + std::string{head} + "]");
    if (head.find("refuse") != head.npos) return reject("refused");
    return {};
  }
  Result<void> on_content(std::string_view piece) override {
    all.back() += piece;
    return {};
  }
  Result<void> on_part_end() override {
    all.back() += "|";
    return {};
  }
  std::vector<std::string> all;
};

struct Outcome {
  std::vector<std::string> parts;
  std::string error;
  bool complete = false;
  bool operator==(const Outcome&) const = default;
};

// The message comes in pieces that end at `cuts`.
Outcome read_in_pieces(std::string_view message, const std::vector<std::size_t>& cuts = {},
                       MultipartLimits limits = {}, std::string_view boundary = "b") {
  TakenParts parts;
  MultipartReader reader(boundary, limits, parts);
  Result<void> read;
  std::size_t from = 0;
  for (std::size_t i = 0; read && i <= cuts.size(); ++i) {
    const std::size_t to = i < cuts.size() ? cuts[i] : message.size();
    read = reader.read(message.substr(from, to - from));
    from = to;
  }
  return {parts.all, read ? "" : read.error().message, reader.is_complete()};
}

const std::string kMessage =
    "read over\r\n--b\r\n"
    "A: 1\r\n\r\n"
    "text\r\n--b \t\r\n"
    "B: 2\r\nC: 3\r\n\r\n"
    "\r\n\r\r\n--\r\n--c\r\n-b\r\n--b\r\n"
    "D: 4\r\n\r\n"
    "\r\n--b\r\n"
    "E: 5\r\n\r\n--b\r\n"
    "\r\nno head\r\n--b--\r\n--b\r\nread over";

TEST(MultipartReader, FindsThePartsOfAMessage) {
  const Outcome outcome = read_in_pieces(kMessage);
  EXPECT_EQ(outcome.error, "");
  EXPECT_TRUE(outcome.complete);
  EXPECT_THAT(outcome.parts,
              ElementsAre("[A: 1\r\n]text|", "[B: 2\r\nC: 3\r\n]\r\n\r\r\n--\r\n--c\r\n-b|",
                          "[D: 4\r\n]|", "[E: 5\r\n]|", "[]no head|"));
}

TEST(MultipartReader, ReadsTheSameHoweverTheMessageIsCut) {
  const Outcome whole = read_in_pieces(kMessage);
  std::vector<std::size_t> each;
  for (std::size_t i = 0; i < kMessage.size(); ++i) {
    each.push_back(i);
    for (std::size_t j = i; j < kMessage.size(); ++j) {
      ASSERT_EQ(read_in_pieces(kMessage, {i, j}), whole) << i << " " << j;
    }
  }
  EXPECT_EQ(read_in_pieces(kMessage, each), whole);
}

TEST(MultipartReader, KnowsWhetherTheMessageHasComeToItsEnd) {
  const std::size_t end = kMessage.find("--b--") + 5;
  for (std::size_t size = 0; size < end; ++size) {
    const Outcome outcome = read_in_pieces(kMessage.substr(0, size));
    EXPECT_EQ(outcome.error, "");
    EXPECT_FALSE(outcome.complete) << size;
  }
  EXPECT_TRUE(read_in_pieces(kMessage.substr(0, end)).complete);
  EXPECT_THAT(read_in_pieces("").parts, IsEmpty());
  EXPECT_TRUE(read_in_pieces("--b--").complete);
  EXPECT_FALSE(read_in_pieces("a--b--").complete) << "not at the beginning of a line";
}

TEST(MultipartReader, RefusesWhatIsNoMessage) {
  const auto complaint = [](const std::string& message, MultipartLimits limits = {}) {
    std::vector<std::size_t> each;
    for (std::size_t i = 0; i < message.size(); ++i) each.push_back(i);
    const Outcome whole = read_in_pieces(message, {}, limits);
    EXPECT_EQ(read_in_pieces(message, each, limits).error, whole.error);
    return whole.error;
  };
  for (const char* bad : {"--bb\r\n", "--b-\r\n", "--b x\r\n", "--b\rx", "--b\n", "--b \r \r\n"}) {
    EXPECT_THAT(complaint(bad), HasSubstr("begins with its boundary and goes on")) << bad;
  }
  EXPECT_THAT(complaint("--b" + std::string(100, ' ')), HasSubstr("goes on"));
  EXPECT_THAT(complaint("--b\r\nA: 1\nB: 2\r\n\r\n"), HasSubstr("end with CR and LF"));
  EXPECT_EQ(complaint("--b\r\nrefuse: 1\r\n\r\nx\r\n--b--"), "refused");
  EXPECT_THAT(complaint("--b\r\n" + std::string(100, 'a'), {.head_bytes_max = 99}),
              HasSubstr("may have 99 bytes"));
  EXPECT_THAT(complaint("--b\r\nA: 1\r\nA: 1\r\nA: 1\r\n", {.head_bytes_max = 17}),
              HasSubstr("may have 17 bytes"));
  EXPECT_THAT(complaint("--b\r\n\r\n\r\n--b\r\n\r\n\r\n--b\r\n", {.parts_max = 2}),
              HasSubstr("may have 2 parts"));
}

TEST(MultipartReader, TakesTheBoundaryFromTheContentType) {
  const auto boundary = [](const char* type) {
    const auto read = multipart_boundary(type);
    return read ? *read : "error: " + read.error().message;
  };
  EXPECT_EQ(boundary("multipart/form-data; boundary=----WebKitFormBoundaryz0"),
            "----WebKitFormBoundaryz0");
  EXPECT_EQ(boundary("Multipart/Form-Data; charset=utf-8; BOUNDARY=\"a b:c\""), "a b:c");
  const std::string seventy(70, 'x');
  EXPECT_EQ(boundary(("multipart/form-data;boundary=" + seventy).c_str()), seventy);
  for (const std::string& bad :
       {"multipart/form-data;boundary=" + seventy + "x", std::string{"multipart/form-data"},
        std::string{"multipart/form-data; boundary="}, std::string{"multipart/mixed; boundary=b"},
        std::string{"multipart/form-data; boundary=\"a "}, std::string{"multipart/form-data; x"},
        std::string{"multipart/form-data; boundary=\"a \""},
        std::string{"multipart/form-data; boundary=\"a\rb\""}}) {
    EXPECT_THAT(boundary(bad.c_str()), HasSubstr("error: ")) << bad;
  }
}

TEST(FormPart, HasTheNameOfItsFieldAndOfAFile) {
  const auto part = [](const std::string& parameters) {
    return form_part_of("content-disposition: form-data" + parameters + "\r\n");
  };
  EXPECT_EQ(part("; name=\"a\"")->name, "a");
  EXPECT_FALSE(part("; name=\"a\"")->file_name);
  EXPECT_EQ(part(" ; NAME = a ; filename=\"b c.txt\"")->file_name, "b c.txt");
  EXPECT_EQ(part("; name=a; filename=\"\"")->file_name, "");
  EXPECT_EQ(part("; name=\"a%22%0D%0a%41\"; filename=\"%22.png\"")->name, "a\"\r\n%41");
  EXPECT_EQ(part("; name=a; filename=\"a\\\"b\\\\c\\d\"")->file_name, "a\"b\\c\\d");
  EXPECT_EQ(part("; name=a; filename=\"x\"; filename*=UTF-8''%e2%82%ac.txt")->file_name, "€.txt");
  EXPECT_EQ(part("; name=a; filename*=utf-8'en'a%20b; filename=x")->file_name, "a b");
  EXPECT_EQ(part("; name=a; filename=x; filename*=utf-8''%zz")->file_name, "x");
  EXPECT_EQ(part("; name=a; filename=x; filename*=latin1''y")->file_name, "x");
  EXPECT_EQ(form_part_of("Content-Type:  image/png \r\nX: y\r\n"
                         "Content-Disposition: form-data; name=a\r\n")
                ->type,
            "image/png");
  for (const char* bad :
       {"", "Content-Type: text/plain\r\n", "Content-Disposition: attachment; name=a\r\n",
        "Content-Disposition: form-data\r\n", "Content-Disposition: form-data; name=\"a\r\n",
        "Content-Disposition: form-data; =a\r\n", "nonsense\r\n", ": a\r\n",
        "Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n",
        "Content-Disposition: form-data;\r\n name=a\r\n",
        "Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n"}) {
    EXPECT_FALSE(form_part_of(bad)) << bad;
  }
}

TEST(FileName, IsOneThatMayLieAnywhere) {
  EXPECT_EQ(safe_file_name("cat.png"), "cat.png");
  EXPECT_EQ(safe_file_name("../../etc/passwd"), "passwd");
  EXPECT_EQ(safe_file_name("C:\\fakepath\\cat.png"), "cat.png");
  EXPECT_EQ(safe_file_name("größe 1.txt"), "größe 1.txt");
  EXPECT_EQ(safe_file_name(std::string_view{"a\0b\r\nc\x7f\xff.txt", 12}), "a_b__c__.txt");
  EXPECT_EQ(safe_file_name("a\u0085\u202Egpj.exe"), "a__gpj.exe");
  EXPECT_EQ(safe_file_name(".htaccess"), "_htaccess");
  EXPECT_EQ(safe_file_name("-rf"), "_rf");
  for (const char* nothing : {"", ".", "..", "/", "a/", "a\\..", "  "}) {
    EXPECT_EQ(safe_file_name(nothing), "file") << nothing;
  }
  const std::string cut = safe_file_name(std::string(300, 'x') + ".jpeg");
  EXPECT_EQ(cut.size(), kFileNameBytesMax);
  EXPECT_TRUE(cut.ends_with("x.jpeg"));
  std::string umlauts;
  for (int i = 0; i < 150; ++i) umlauts += "ä";
  EXPECT_EQ(safe_file_name("x" + umlauts).size(), kFileNameBytesMax - 1);
}

TEST(FileName, DiffersFromThoseThatLieBesideIt) {
  FileNames names;
  EXPECT_EQ(names.add("cat.png"), "cat.png");
  EXPECT_EQ(names.add("cat.png"), "cat-2.png");
  EXPECT_EQ(names.add("cat-2.png"), "cat-2-2.png");
  EXPECT_EQ(names.add("cat.png"), "cat-3.png");
  EXPECT_EQ(names.add("file"), "file");
  EXPECT_EQ(names.add("file"), "file-2");
}

}  // namespace
}  // namespace fanfare::triggers

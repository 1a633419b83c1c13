// Pictures as files: round trips, every truncation, damage, limits, a full disk.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <noyau/noyau.hpp>

#include "core/fault.hpp"
#include "tests/common/files.hpp"
#include "tests/common/message_of.hpp"

namespace ny = noyau;

namespace {

using ny::test::message_of;
using ny::test::read_bytes;
using ny::test::TemporaryFolder;
using ny::test::write_bytes;

/// A picture without flat areas, uint8 [height, width, channels].
ny::Array pattern(std::int64_t height, std::int64_t width, std::int64_t channels) {
  std::vector<std::uint8_t> values;
  for (std::int64_t i = 0; i < height * width * channels; ++i)
    values.push_back(static_cast<std::uint8_t>((i * 37 + i * i / 7) % 256));
  return ny::array(values, {height, width, channels});
}

std::vector<int> numbers(const ny::Array& x) { return x.to_vector<int>(); }

TEST(ImageFile, PngAndBmpComeBackAsTheyWere) {
  TemporaryFolder folder;
  const ny::Array picture = pattern(13, 21, 3);
  for (const char* name : {"a.png", "b.bmp", "c.PNG"}) {
    ny::image::save(folder / name, picture);
    const ny::Array back = ny::image::load(folder / name);
    EXPECT_EQ(back.shape(), picture.shape());
    EXPECT_EQ(back.dtype(), ny::uint8);
    EXPECT_EQ(numbers(back), numbers(picture)) << name;
  }
  EXPECT_EQ(folder.names().size(), 3u) << "no temporary file stays behind";
}

TEST(ImageFile, JpegComesBackNearly) {
  TemporaryFolder folder;
  const ny::Array ramp = reshape(ny::linspace(0, 1, 32), {1, 32, 1});
  ny::image::save(folder / "a.jpg", broadcast_to(ramp, {24, 32, 3}));
  const ny::Array back = ny::image::to_float(ny::image::load(folder / "a.jpg"));
  ASSERT_EQ(back.shape(), (ny::Shape{24, 32, 3}));
  EXPECT_LT(max(abs(back - ramp)).item<float>(), 0.03f);
}

TEST(ImageFile, GrayIsLoadedAsThreeChannels) {
  TemporaryFolder folder;
  const ny::Array gray = pattern(5, 4, 1);
  ny::image::save(folder / "a.png", gray);
  EXPECT_EQ(numbers(ny::image::load(folder / "a.png")), numbers(broadcast_to(gray, {5, 4, 3})));
}

TEST(ImageFile, FloatsAreClippedAndRoundedHalfToEven) {
  TemporaryFolder folder;
  const ny::Array values = ny::array({-1.0, 0.0, 0.5 / 255, 1.5 / 255, 2.5 / 255, 1.0, 7.0});
  ny::image::save(folder / "a.png", reshape(values, {1, 7, 1}));
  const ny::Array back = ny::image::load(folder / "a.png");
  EXPECT_EQ(numbers(back[{0, ny::slice(), 0}]), (std::vector<int>{0, 0, 0, 2, 2, 255, 255}));
}

TEST(ImageFile, EveryTruncationIsAnError) {
  TemporaryFolder folder;
  for (const char* ending : {".png", ".jpg", ".bmp"}) {
    const std::string whole = folder / (std::string("whole") + ending);
    ny::image::save(whole, pattern(9, 11, 3));
    const std::string bytes = read_bytes(whole), cut = folder / (std::string("cut") + ending);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      write_bytes(cut, bytes.substr(0, size));
      const std::string message = message_of<ny::FileError>([&] { ny::image::load(cut); });
      EXPECT_NE(message.find(cut), std::string::npos) << size << ": " << message;
    }
    EXPECT_NO_THROW(ny::image::load(whole));
  }
}

TEST(ImageFile, DamagedPngIsAnError) {
  TemporaryFolder folder;
  ny::image::save(folder / "a.png", pattern(9, 11, 3));
  const std::string bytes = read_bytes(folder / "a.png");
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    write_bytes(folder / "b.png", damaged);
    EXPECT_THROW(ny::image::load(folder / "b.png"), ny::FileError) << at;
  }
}

/// A BMP header of 24 bits a pixel, without pixels.
std::string bmp_header(std::uint32_t width, std::uint32_t height) {
  std::string bytes(54, '\0');
  const auto put = [&](std::size_t at, std::uint32_t value) {
    for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
  };
  bytes[0] = 'B';
  bytes[1] = 'M';
  put(10, 54);
  put(14, 40);
  put(18, width);
  put(22, height);
  bytes[26] = 1;
  bytes[28] = 24;
  return bytes;
}

TEST(ImageFile, SizesAreCheckedInTheHeader) {
  TemporaryFolder folder;
  const auto message = [&](std::uint32_t width, std::uint32_t height) {
    write_bytes(folder / "a.bmp", bmp_header(width, height));
    return message_of<ny::FileError>([&] { ny::image::load(folder / "a.bmp"); });
  };
  EXPECT_NE(message(0, 5).find("no pixels"), std::string::npos);
  EXPECT_NE(message(5, 0).find("no pixels"), std::string::npos);
  EXPECT_NE(message(16385, 5).find("16384"), std::string::npos);
  EXPECT_NE(message(5, 16385).find("16384"), std::string::npos);
  EXPECT_NE(message(16384, 16384).find("cut short"), std::string::npos);
  EXPECT_NE(message(0x80000000u, 5).find("damaged"), std::string::npos);
}

TEST(ImageFile, ErrorsNameTheFileAndTheReason) {
  TemporaryFolder folder;
  const auto load = [&](const std::string& name) {
    return message_of<ny::FileError>([&] { ny::image::load(folder / name); });
  };
  EXPECT_NE(load("none.png").find("No such file"), std::string::npos);
  write_bytes(folder / "text.png", "hello");
  EXPECT_NE(load("text.png").find("neither PNG, JPEG nor BMP"), std::string::npos);
  EXPECT_NE(load("").find("folder"), std::string::npos);
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_NE(load("pipe").find("regular"), std::string::npos);
}

TEST(ImageFile, SaveTeachesWhatItTakes) {
  TemporaryFolder folder;
  const std::string path = folder / "a.png";
  EXPECT_THROW(ny::image::save(path, ny::ones({4, 4})), ny::ShapeError);
  EXPECT_THROW(ny::image::save(path, ny::ones({4, 4, 2})), ny::ShapeError);
  EXPECT_THROW(ny::image::save(path, ny::ones({4, 0, 3})), ny::ShapeError);
  EXPECT_THROW(ny::image::save(path, ny::ones({4, 4, 3}, ny::int32)), ny::DtypeError);
  EXPECT_THROW(ny::image::save(path, 1.0), ny::ShapeError);
  EXPECT_THROW(ny::image::save(folder / "a.gif", pattern(4, 4, 3)), ny::FileError);
  EXPECT_THROW(ny::image::save(folder / "a", pattern(4, 4, 3)), ny::FileError);
  EXPECT_THROW(ny::image::save(folder / "no/such/folder.png", pattern(4, 4, 3)), ny::FileError);
  EXPECT_TRUE(folder.names().empty());
}

TEST(ImageFile, AFullDiskLeavesTheOldFileAndNothingElse) {
  TemporaryFolder folder;
  ny::image::save(folder / "a.png", pattern(4, 4, 3));
  const std::string before = read_bytes(folder / "a.png");
  ny::fault::arm("file.write", 1, true);
  EXPECT_THROW(ny::image::save(folder / "a.png", pattern(64, 64, 3)), ny::FileError);
  ny::fault::disarm();
  EXPECT_EQ(read_bytes(folder / "a.png"), before);
  EXPECT_EQ(folder.names().size(), 1u);
  EXPECT_NO_THROW(ny::image::save(folder / "a.png", pattern(64, 64, 3)));
}

TEST(ImageFile, TheSizeLimitIsAnErrorNotTheEnd) {
  TemporaryFolder folder;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 1024;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string message =
      message_of<ny::FileError>([&] { ny::image::save(folder / "a.png", pattern(64, 64, 3)); });
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_NE(message.find("a.png"), std::string::npos);
  EXPECT_TRUE(folder.names().empty());
  EXPECT_NO_THROW(ny::image::save(folder / "a.png", pattern(64, 64, 3)));
}

}  // namespace

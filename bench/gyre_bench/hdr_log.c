/* hdr_log.c - HdrHistogram's V2 encoding: ZigZag LEB128 counts, zlib stored blocks, base64.
 *
 * Payload, integers big-endian: cookie 0x1c849313, payload length, normalizing index offset 0,
 * number of significant digits 2, lowest value 1 (8 bytes), highest value (8 bytes), conversion
 * ratio 1.0 (double); then for each bucket its count, or minus the number of empty ones in a row.
 * Around it: cookie 0x1c849314, length, and the zlib stream.
 */
#include "bench/gyre_bench/hdr_log.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COOKIE 0x1c849313u
#define COOKIE_COMPRESSED 0x1c849314u
#define HEAD_SIZE 40u
#define STORED_MAX 65535u

static uint8_t *
put_be(uint8_t *at, uint64_t value, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    }
    return at + size;
}

/* At most 9 bytes: the ninth holds 8 bits. */
static uint8_t *
put_zigzag(uint8_t *at, int64_t value)
{
    uint64_t rest = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);

    for (uint32_t i = 0; i < 8; i++) {
        if (rest < 0x80) {
            *at++ = (uint8_t)rest;
            return at;
        }
        *at++ = (uint8_t)(rest | 0x80);
        rest >>= 7;
    }
    *at++ = (uint8_t)rest;
    return at;
}

static uint8_t *
put_counts(uint8_t *at, const struct histogram *histogram)
{
    const uint32_t end = histogram->count > 0 ? histogram_bucket(histogram->greatest) + 1 : 1;
    uint32_t empty = 0;

    for (uint32_t i = 0; i < end; i++) {
        if (histogram->buckets[i] == 0) {
            empty++;
            continue;
        }
        if (empty > 0) {
            at = put_zigzag(at, -(int64_t)empty);
            empty = 0;
        }
        at = put_zigzag(at, (int64_t)histogram->buckets[i]);
    }
    return at;
}

static uint32_t
adler32(const uint8_t *bytes, size_t size)
{
    uint32_t a = 1;
    uint32_t b = 0;

    for (size_t i = 0; i < size; i++) {
        a = (a + bytes[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

/* zlib's form with blocks that are stored as they are. */
static uint8_t *
put_zlib(uint8_t *at, const uint8_t *bytes, size_t size)
{
    size_t done = 0;

    *at++ = 0x78;
    *at++ = 0x01;
    do {
        const uint32_t n = size - done < STORED_MAX ? (uint32_t)(size - done) : STORED_MAX;

        *at++ = done + n == size; /* the last block */
        *at++ = (uint8_t)n;
        *at++ = (uint8_t)(n >> 8);
        *at++ = (uint8_t)~n;
        *at++ = (uint8_t)(~n >> 8);
        memcpy(at, bytes + done, n);
        at += n;
        done += n;
    } while (done < size);
    return put_be(at, adler32(bytes, size), 4);
}

static void
print_base64(FILE *file, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < size; i += 3) {
        const uint32_t n = (uint32_t)(size - i < 3 ? size - i : 3);
        const uint32_t three = (uint32_t)bytes[i] << 16 |
                               (n > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                               (n > 2 ? bytes[i + 2] : 0);

        (void)fputc(digits[three >> 18], file);
        (void)fputc(digits[three >> 12 & 63], file);
        (void)fputc(n > 1 ? digits[three >> 6 & 63] : '=', file);
        (void)fputc(n > 2 ? digits[three & 63] : '=', file);
    }
}

void
hdr_log_begin(FILE *file, double start_seconds)
{
    const time_t seconds = (time_t)start_seconds;
    struct tm parts;
    char date[64];

    (void)gmtime_r(&seconds, &parts);
    (void)strftime(date, sizeof(date), "%a %b %d %H:%M:%S UTC %Y", &parts);
    (void)fprintf(file,
                  "#[Logged with gyre-bench; values are nanoseconds]\n"
                  "#[Histogram log format version 1.3]\n"
                  "#[StartTime: %.3f (seconds since epoch), %s]\n"
                  "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","
                  "\"Interval_Compressed_Histogram\"\n",
                  start_seconds, date);
}

bool
hdr_log_add(FILE *file, double start_seconds, double length_seconds,
            const struct histogram *interval)
{
    const size_t size_max = HEAD_SIZE + 9u * HISTOGRAM_BUCKET_COUNT;
    uint8_t *plain = malloc(size_max);
    uint8_t *packed = malloc(size_max + size_max / STORED_MAX * 5 + 64);
    uint8_t *end;
    const double one = 1.0;
    uint64_t one_bits;

    if (plain == NULL || packed == NULL) {
        free(plain);
        free(packed);
        return false;
    }
    memcpy(&one_bits, &one, sizeof(one_bits));
    end = put_counts(plain + HEAD_SIZE, interval);
    (void)put_be(plain, COOKIE, 4);
    (void)put_be(plain + 4, (uint64_t)(end - plain) - HEAD_SIZE, 4);
    (void)put_be(plain + 8, 0, 4);
    (void)put_be(plain + 12, 2, 4);
    (void)put_be(plain + 16, 1, 8);
    (void)put_be(plain + 24,
                 interval->greatest < 3600000000000u ? 3600000000000u : interval->greatest, 8);
    (void)put_be(plain + 32, one_bits, 8);
    end = put_zlib(packed + 8, plain, (size_t)(end - plain));
    (void)put_be(packed, COOKIE_COMPRESSED, 4);
    (void)put_be(packed + 4, (uint64_t)(end - packed) - 8, 4);
    (void)fprintf(file, "%.3f,%.3f,%.3f,", start_seconds, length_seconds,
                  (double)interval->greatest / 1e6);
    print_base64(file, packed, (size_t)(end - packed));
    (void)fputc('\n', file);
    free(plain);
    free(packed);
    return true;
}

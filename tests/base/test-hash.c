/* test-hash.c - CRC-32C and SipHash-2-4-128 against published numbers.
 *
 * CRC-32C: RFC 3720, appendix B.4. SipHash: OpenSSL 3 with key zero (openssl mac -macopt hexkey:00..00 -macopt size:16 SIPHASH), which
 * gives the authors' own vectors for their key 00 01 .. 0f. hash.c is included, not linked, so that both ways to a CRC are tested on one CPU. */
#include "../../lib/base/hash.c"
#include "../tap.h"

static void crc_is(const char *what, const void *data, size_t size, uint32_t want)
{
    ok(ft_crc32c(0, data, size) == want, "CRC-32C of %s", what);
    ok(~crc_plain(~0u, data, size) == want, "CRC-32C of %s by tables", what);
}

static void check_crc(void)
{
    static const unsigned char command[] = {1, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 4, 0,
                                            0, 0, 0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0};
    unsigned char zeros[32] = {0}, ones[32], up[32], down[32];

    memset(ones, 0xff, sizeof ones);
    for (unsigned char i = 0; i < 32; i++) {
        up[i] = i;
        down[i] = (unsigned char)(31 - i);
    }
    crc_is("32 zeros", zeros, 32, 0x8a9136aa);
    crc_is("32 bytes 0xff", ones, 32, 0x62a8ab43);
    crc_is("0 to 31", up, 32, 0x46dd794e);
    crc_is("31 to 0", down, 32, 0x113fdb5c);
    crc_is("an iSCSI read command", command, sizeof command, 0xd9963a56);
    crc_is("123456789", "123456789", 9, 0xe3069283);
    crc_is("nothing", "", 0, 0);
}

static void check_crc_pieces(void)
{
    static unsigned char data[10000];
    bool same = true, plain = true, large = true;

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * i + 7 * i);
    for (size_t cut = 0; cut <= sizeof data; cut += cut < 300 ? 1 : 97)
        same &= ft_crc32c(ft_crc32c(0, data, cut), data + cut, sizeof data - cut) == ft_crc32c(0, data, sizeof data);
    ok(same, "a CRC goes on over pieces, wherever they are cut");
    for (size_t from = 0; from < 9; from++)
        for (size_t size = 0; from + size <= 301; size++)
            plain &= ft_crc32c(0, data + from, size) == ~crc_plain(~0u, data + from, size);
    ok(plain, "the instruction and the tables agree, at any alignment and length");
    for (size_t from = 0; from < 3; from++)
        for (size_t size = 1; from + size <= sizeof data; size += 67)
            large &= ft_crc32c(77, data + from, size) == ~crc_plain(~77u, data + from, size);
    ok(large, "and over lengths that are done in lanes");
}

static void check_siphash(void)
{
    static const struct {
        size_t size;
        const char *hex;
    } vectors[] = {     /* of the bytes 0, 1, 2, ... */
        {0, "5049D74780A3E07D4202AB47D4CEF2F4"},  {1, "D41E12E85E4CAFB831F094E57538B801"},  {7, "78369BF9405CE46157D77FF83381B2FF"},
        {8, "4B6534F901EB440EE95540294A75AF84"},  {15, "9FB8537A9C0F25128384EA0249C0955E"}, {16, "81AD50AB90F25032A234BB58732A508B"},
        {63, "4E3D42CF5DF942EF96FAE55B4875D8DE"}, {64, "B9F891676C0AC74611666CFEF75419E2"},
    };
    unsigned char data[64];

    for (unsigned char i = 0; i < 64; i++)
        data[i] = i;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct ft_hash hash = ft_hash_bytes(data, vectors[i].size);
        char text[33];

        for (int b = 0; b < 16; b++)
            snprintf(text + 2 * b, 3, "%02X", (unsigned)((b < 8 ? hash.low : hash.high) >> (8 * (b % 8)) & 255));
        is_text(text, vectors[i].hex, "SipHash-2-4-128 with key zero");
    }
}

int main(void)
{
    check_crc();
    check_crc_pieces();
    check_siphash();
    return done();
}

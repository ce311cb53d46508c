/* RSA signatures: a known answer, and keys that are refused.  The keys serve nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "base/rs256.h"

static const char good[] = "-----BEGIN PRIVATE KEY-----\n"
			   "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCyiPCa1uaC3mhL\n"
			   "ErZAxQBFuRlQx3JuzvZpkld3LjqIzGZJ7U9OZ1CjmUfxPGww4STur/HVxqpeTIF/\n"
			   "uT4Jmn01ipFY9Vo8WDoWwAQYIzhKsW+XmdMGSw/nM8JXZSm/IT7XuGp7Ee4itZEk\n"
			   "DI7Lr6J67PBxVc8EWAl9cfxVNIJnHtl18HNg7LkOt8PpfjkKcec8p9KamBjkfSJF\n"
			   "T3pPxl2JhLAJfJEgzJIc0kHOE4qiGm7BTvzn9ke1YiROg+7owaEmkNUEAPNG+ku+\n"
			   "ULpkX6rryzQkVYi3HvzzS2MGaKFKgGreZIOWQl99176Rz5wnGlpe9Zjo3bZ4uR0O\n"
			   "fQ+oUghnAgMBAAECggEABZ/hefSnPRw7S5ItV7ZdHyqJAk3Q7G4XaUAJAreGyeSB\n"
			   "RyGeIVQz6tOGEV2GnbZExELwFXy1b/8Xsqm9Ve7ItF/HMHbvqX2wvCK/KPDYcdH2\n"
			   "jV91PHovkr3DXkl7moqLlkmNto7cDQ/h9gbHQOIpoOxyBBVgo5G6dXnv1HyxAa/z\n"
			   "oEK4c3IurwH7cA8K6sZQL9nIx9b6SOLNsDl50lxagdXN3yueBBV2Cf8oL5rpCvXH\n"
			   "9LwKal92FfFoBmPvQZ2bbjPh4iOaYhgaA+iV+oHKg6j6odIfIMfALqUb2guvGcAN\n"
			   "hnNVFR8DrjeJJDJt9e1/1AG15YATl8cHL0AoxEJ/oQKBgQDh2rKGhEO/KJ9I6PUm\n"
			   "qBaZZ1jzffSdcXrhMqEhz9+bzbUIdREhk36457+usHXq6dDaPAzfFJDoJ65MqPsS\n"
			   "11KRrfSf4dAclql67Sqa4WQVOL1LFfe73fTo+5of53fzcFreuG6FigRNMG5HZB5f\n"
			   "FryRtBoZ5rEtUZ54SFm8//cGSQKBgQDKXV5nwfb94mBB4OZGUVdh5kHQxolDbBiA\n"
			   "WKIGBkkuPmBY2UG12b9Th5W8BVfHKkHHdU4gAZ5aK/pbGix9JZQgxVJhhQiu920n\n"
			   "nAGZ4RRBnnO2STXB6G4nV/9QneG9oLhG+0jLJ8GmhouExJnon4TUd2rCTzePNIAy\n"
			   "a3U8yITZLwKBgQDaLDUAlIwNAOS9vavzZ7RNA/R9YlMGNDULjajxzKipDRGv1cZy\n"
			   "tNRZMiWMTpHaF3vVFOUqKefBG3PYQfQnwzDT4ULJn4010KRvRuM9MjVH+sOA4Puq\n"
			   "00JePY4o+6R32TUuqOK6xRRarEobVK+yE3idF2mPU7YbnRiEAQAO/wRVYQKBgAyX\n"
			   "jr5KFYJqya6PvgR2H0faOhIxqGznlwa1fS9+yKL2AqzEqBAWwo8CCtEuS+36tSki\n"
			   "JYBcWWwm/Gca09Xdtr/rR1sGGio4/zPNw1O967LBl1WqbIvqWKBeG2b6zAcurwjL\n"
			   "rhXmHWitSpUyXplZA7zsyVnZ8A0bKTb59MuZdprFAoGAWVie0u5bSqdYOLtUmBHD\n"
			   "tWKVVz2y2Y9s9asWiq+DAMdVghX+NNNp1CknoX4UtIVivubvI7yieO/dJfWhWNDA\n"
			   "qdvzdtEVAjNb1VWggf85QF7IGmyJkvZlLfUks7a9Ag978bpuce9yN7jtwtgb7v/D\n"
			   "PPz8v+ZdCBjWIcT5TTz7FDY=\n"
			   "-----END PRIVATE KEY-----\n";

static const char of_1024_bits[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBAMFl5RL4fPfuNY3K\n"
	"Yb5soAP49nho7cw6oIciHcS882YuZCk8NLae7HZoViMWaDt77h6VDW+gIjyBT7JY\n"
	"RtTIVHTV5TubbDqbSyBW18b+HP0l+Krs5gYThrprDwVuwOFmcMd5YKSvcGxqQ9L3\n"
	"YIyjH6BRjrE2zkNr7V7kHGCPPLtNAgMBAAECgYBhzp5jUbghyx7abpewLk9esvIz\n"
	"Qx3AQ4Yb0W0sqkKOUrflAsXF9emwmGO3qwVbz/lFDiyVX27xGpSrpWltA0NyUeWB\n"
	"IJ1IZH5wEUMcs7tfE7XxaQXINidb8oAFmj5o9zA2F2TNAXcC2zsACdp2O6wf7mFL\n"
	"LjxQkfEKgqBJPzQvIQJBAOanK4CgBm9zY2wqKEojDGKsJLn92r9LW+zVGK6sXymm\n"
	"bxSsEJ68cPSaQ3Ew5R5qXnECrzBE4AKcnq5ZWi1tAaMCQQDWpqbTz+dKIRxDMzpN\n"
	"N6XhGu2lGlWAekGPf0DkYdijyXB+snGJmNKZNW4emuw+jpwyOaDkzX2/cInt4JfH\n"
	"uX5PAkADTgPejOxqrmGPTC9VmJj11PeVvqBiu0au5wK6hfe7FgpjZm+6hoKrzoYG\n"
	"2id+PxHpVpuB+oqnHu1bHCahnf03AkEAsYDAhnnvhuKYj42mUcKJ3vu4t4ZuXD89\n"
	"Rd/ylqm/T7o919fSgfmpdd60QITWhejCi9oSDgNMUGpM9TR770KaiwJATrai0giO\n"
	"DvBc7ayS8YCIaISKbR5uOgW04tA8pliy1l95F3v0rKXphCreFK/A7G148ED7lC9C\n"
	"nrFyWCYQnybqXQ==\n"
	"-----END PRIVATE KEY-----\n";

static const char of_a_curve[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgrFseTJa/qsqJFS+v\n"
	"xiUaglx/AhbpgDtZpHgVzd3Xl8GhRANCAASvqZ9zN2Ac9dGi6NfH7HxkIypOfUFc\n"
	"8vM3NlXsH3WOU/IT4h4SRNnkZQT71mfg6hnfGuBNNDIKKrLllP1FxLgH\n"
	"-----END PRIVATE KEY-----\n";

static const char encrypted[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
				"MIIFLTBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQIkPpmcrF5BIoCAggA\n"
				"MAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAECBBDuhWeKHXJk3qwtuU/qRzq0BIIE\n"
				"0JPD50MBjHe6xuDKKy0f3PDNtduWmDZv6LTQmZsXLkkvK6HetWUwRUrFMGjxtdq7\n"
				"d6l58tZWMbWd4HvOevzfgpLf0gEat0u/WHTFy9rti5wCftn6AI//wvA60KVVGhLt\n"
				"lnGfIJJ+jlMsZg4wuEAGN7Mad/K+RqmC9ioBCq820jWY22FJPShwFJgTMspTV+n5\n"
				"9I0Dat7B4dLoI6tuoP6vpZwiBFDxkRvVfWZsAniKBs5WGzvOXV7f3llJlouJpH0f\n"
				"FynN2rJ/g9aZHNWipQacZP4LhleQYCamlTns3Xz7VWPxhFT7glypKbLxF4Vamuc6\n"
				"l4DZcaQ05HDG7kKcz6yV8+p8xDimpk7MQ5kkj1mdkZjdzLEttO8Qp1LBkPc2b9/h\n"
				"VllPYN84taIgKgKbacwcgMYKKWwgaYsKmNz/wLLGW+3IkueP19Jp2Bn5D4kzyzZ/\n"
				"lVp6938orsRHNLP38mkCj7QtSqfz2XeWWUryBoWThUwS0uAxEp4ZxERIJpZlEVQb\n"
				"afHMihI7vrG/ycfCtyh9BTf2sjzjrjKnZVYJuJ2Boxw3GScLgzCc1I74Z5+uP4gQ\n"
				"4K1JhhVBDaNzbXlqDx/E4fgGJTihuwCIaNhNOLEEpe8VusFSE/qIOsHLv97hddd+\n"
				"+qX5qEfqs5u9UIh2xqfQuKWtOIg+ePv2mMeBEv2F4hufD0TQROt0cVSMKZlPyoC5\n"
				"ZwY9Mu8H8Kg8CvqL4jr9prWGLzyqLWcSBe0wZRvSrqtmJ4u0LWsqrP532O96qNuK\n"
				"ehzwRVegmVOkMHFWLizJtofxOhRGLRpYouymt1bFr2DdUuG5iKuwF2cmQd/FMbDu\n"
				"fXZ+lnYnUleW0TDC1W82w/zd6zg0WyT8pErk9sGA4ZvkdHxfwQIgFdj30q6FMf3X\n"
				"7xe2nK/DCfKUZaKcGTisuSjC5Kh5QyIDhyk+CFimV3PLLvMAOfm7PvSh8gLzmVYq\n"
				"O73YbX5jZs40c5gK1LkIAeKTCnmzRngLpfwH5NrsETVIBzUJs3veCM2vY7wUIysl\n"
				"0REnEwMVjhp3qlBaasBr+x8PXN3KqhLedReKApnYcnll/RChdsxCnXbnHlxmqRwW\n"
				"tuoWvZPpM8Flxn4Lk7+znXm2BCBk8SvuxZKkXGm4rpreq4+t+mgytbDMIfZOWCwh\n"
				"V/m+tlTKX2O+UJAZaFm/B1GbAOkjSn+ewdiFeA4qpUtz8iUGTirJJmb8EL14T/xu\n"
				"CafvwTZ9jg6FHOMWH10om+G+MmNtmpLSWykW5BgSuzLHPsFGYipTu9weHWYyVbqX\n"
				"Sc7hTzx2KBbTzgnlEZDdDSaeWUFizNBArtVUgClEdLP+UdR43q8ilfmV6SZZmbNa\n"
				"q0DUalAuDtL7tFOTOZ423P0ZSd1+vTTpB9daBTCqjg4uA9NL4x2839C4HAOQo0Mg\n"
				"6gkEjgmyTFRyxnQNPBJPnfDwER0pnP0aYIcVt6QyPrStnp9xhZZbBDBXFqBZfJYA\n"
				"f8KZsJVxTAtrXYq43HtpP+naYldJJE7isjF5T/eR8rvWWDKofqVW+rdECVykTiRB\n"
				"xDuaNYi8i9XPQ1U2a2LvPmsxbRQ0PtJpy+i2U1h3IC8L2Hp7JuWICBojmt/1bZtW\n"
				"0zngWWG67MA1e5C8RDT2fmdpbTCoM1CIGE7727VIhTF3\n"
				"-----END ENCRYPTED PRIVATE KEY-----\n";

/* printf rootlet | openssl dgst -sha256 -sign KEY | sha256sum */
#define SIGNED "f9e90d3b09db650c2ff2697912a77c55bcd2fbcc8a48ad019af0a5a68ee35552"

static void test_rs256_signs_as_openssl_does(void **state)
{
	(void)state;
	auto_free uint8_t *signature = NULL;
	size_t size = 0;
	assert_int_equal(rs256_sign(&signature, &size, good, "rootlet", 7, NULL), 0);
	assert_int_equal(size, 256);
	struct digest digest;
	digest_of(&digest, DIGEST_SHA256, signature, size);
	assert_string_equal(digest_hex(&digest).text, SIGNED);
}

static void test_rs256_refuses_other_keys(void **state)
{
	(void)state;
	const char *const bad[] = { "",		"x",	   of_1024_bits,
				    of_a_curve, encrypted, "-----BEGIN PRIVATE KEY-----\nAAAA\n" };
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		uint8_t *signature = NULL;
		size_t size = 7;
		struct err err = { 0 };
		assert_int_equal(rs256_sign(&signature, &size, bad[i], "a", 1, &err), -EINVAL);
		assert_null(signature);
		assert_int_equal(size, 7);
		assert_null(strstr(err_text(&err), "BEGIN"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rs256_signs_as_openssl_does),
		cmocka_unit_test(test_rs256_refuses_other_keys),
	};
	return cmocka_run_group_tests_name("rs256", tests, NULL, NULL);
}

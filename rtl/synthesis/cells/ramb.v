// Block RAMs of UltraScale+, of 18 and 36 Kib, as Yosys instantiates them: no output registers, cascades, ECC or sleep.
//
// Ref: AMD UG573, "UltraScale Architecture Memory Resources", chapter on block RAM: a width of 9 or more has a parity bit for each
// 8 data bits; the lowest bits of an address choose within the widest word; WRITE_MODE says what a port's own output shows of
// its write; a port that reads what the other writes gets the old word where that one is READ_FIRST, and else nothing that is
// defined, which here is the old word inverted.

module ramb_e2 #(
    parameter integer ADDRESS_BITS = 15, parameter integer HALF = 32,
    parameter integer READ_WIDTH_A = 0, parameter integer READ_WIDTH_B = 0,
    parameter integer WRITE_WIDTH_A = 0, parameter integer WRITE_WIDTH_B = 0,
    parameter WRITE_MODE_A = "NO_CHANGE", parameter WRITE_MODE_B = "NO_CHANGE", parameter [0:0] IS_PLAIN = 1'b1,
    parameter [2*HALF+HALF/4-1:0] FIRST_A = 0, parameter [HALF+HALF/8-1:0] FIRST_B = 0,
    parameter [2*HALF+HALF/4-1:0] RESET_A = 0, parameter [HALF+HALF/8-1:0] RESET_B = 0,
    parameter [(1<<ADDRESS_BITS)-1:0] DATA = 0, parameter [(1<<ADDRESS_BITS)/8-1:0] PARITY = 0
) (
    input wire clk_a, input wire clk_b, input wire enable_a, input wire enable_b, input wire reset_a, input wire reset_b,
    input wire [ADDRESS_BITS-1:0] address_a, input wire [ADDRESS_BITS-1:0] address_b,
    input wire [HALF/4-1:0] write_a, input wire [HALF/4-1:0] write_b,
    input wire [2*HALF-1:0] data_a, input wire [HALF/4-1:0] parity_a,
    input wire [2*HALF-1:0] data_b, input wire [HALF/4-1:0] parity_b,
    output wire [2*HALF-1:0] read_a, output wire [HALF/4-1:0] read_parity_a,
    output wire [2*HALF-1:0] read_b, output wire [HALF/4-1:0] read_parity_b
);
    // Data bits of a word, and the lesser of two widths that are used.
    function automatic integer plain(input integer width);
        plain = width >= 9 ? width / 9 * 8 : width;
    endfunction
    function automatic integer least(input integer one, input integer other);
        least = other != 0 && other < one ? other : one;
    endfunction
    // Words are kept in pieces: bytes with their parity bits, or words where some are narrower.
    localparam integer PIECE = least(
        least(least(8, plain(READ_WIDTH_A)), plain(READ_WIDTH_B)), least(least(8, plain(WRITE_WIDTH_A)), plain(WRITE_WIDTH_B)));
    localparam integer PIECES = (1 << ADDRESS_BITS) / PIECE, MOST = 2 * HALF / PIECE;
    reg [PIECE:0] words [0:PIECES-1];
    integer i;
    initial begin
        if (!IS_PLAIN) $fatal(1, "RAMB18E2 and RAMB36E2 must have no output registers, cascades or sleep");
        for (i = 0; i < PIECES; i = i + 1) words[i] = {PIECE == 8 ? PARITY[i*PIECE/8] : 1'b0, DATA[i*PIECE +: PIECE]};
    end

    // A value of INIT or SRVAL as an output: above the data of each half lies its parity.
    function automatic [2*HALF+HALF/4-1:0] output_of(input [2*HALF+HALF/4-1:0] value, input integer width);
        reg [2*HALF-1:0] data;
        reg [HALF/4-1:0] parity;
        data = value[HALF-1:0] & ~({2*HALF{1'b1}} << plain(width));
        parity = width >= 9 ? value[plain(width) % (2*HALF) +: HALF/8] & ~({HALF/4{1'b1}} << (width / 9)) : 0;
        if (width > HALF + HALF / 8) begin
            data = {value[HALF+HALF/8 +: HALF], value[HALF-1:0]};
            parity = {value[2*HALF+HALF/8 +: HALF/8], value[HALF +: HALF/8]};
        end
        output_of = {parity, data};
    endfunction

    wire [1:0] clk = {clk_b, clk_a}, enable = {enable_b, enable_a}, reset = {reset_b, reset_a};
    // What each port writes: the first of its pieces, which of them, and with what.
    wire [ADDRESS_BITS-1:0] into [0:1];
    wire [MOST-1:0] written [0:1];
    wire [PIECE:0] given [0:1][0:MOST-1];
    reg [2*HALF+HALF/4-1:0] shown [0:1];
    assign {read_parity_a, read_a} = shown[0];
    assign {read_parity_b, read_b} = shown[1];
    genvar port, piece;
    generate
        for (port = 0; port < 2; port = port + 1) begin : ports
            localparam integer READ_WIDTH = port == 0 ? READ_WIDTH_A : READ_WIDTH_B;
            localparam integer READS = plain(READ_WIDTH) / PIECE;
            localparam integer WRITES = plain(port == 0 ? WRITE_WIDTH_A : WRITE_WIDTH_B) / PIECE;
            localparam [0:0] HOLDS = (port == 0 ? WRITE_MODE_A : WRITE_MODE_B) == "NO_CHANGE";
            localparam [0:0] SHOWS_NEW = (port == 0 ? WRITE_MODE_A : WRITE_MODE_B) == "WRITE_FIRST";
            localparam [0:0] OTHER_SHOWS_OLD = (port == 0 ? WRITE_MODE_B : WRITE_MODE_A) == "READ_FIRST";
            wire [ADDRESS_BITS-1:0] place = (port == 0 ? address_a : address_b) / PIECE;
            wire [ADDRESS_BITS-1:0] from = place & ~(READS == 0 ? 0 : READS - 1);
            assign into[port] = place & ~(WRITES == 0 ? 0 : WRITES - 1);
            for (piece = 0; piece < MOST; piece = piece + 1) begin : pieces
                assign written[port][piece] =
                    piece < WRITES && enable[port] && (port == 0 ? write_a[piece*PIECE/8] : write_b[piece*PIECE/8]);
                assign given[port][piece] = port == 0
                    ? {PIECE == 8 ? parity_a[piece*PIECE/8] : 1'b0, data_a[piece*PIECE +: PIECE]}
                    : {PIECE == 8 ? parity_b[piece*PIECE/8] : 1'b0, data_b[piece*PIECE +: PIECE]};
            end
            integer n;
            reg [ADDRESS_BITS-1:0] index, own, other;
            reg [PIECE:0] word;
            initial shown[port] = output_of(port == 0 ? FIRST_A : {{HALF+HALF/8{1'b0}}, FIRST_B}, READ_WIDTH);
            always @(posedge clk[port]) begin
                for (n = 0; n < WRITES; n = n + 1)
                    if (written[port][n]) words[into[port]+n] <= given[port][n];
                if (enable[port] && reset[port])
                    shown[port] <= output_of(port == 0 ? RESET_A : {{HALF+HALF/8{1'b0}}, RESET_B}, READ_WIDTH);
                else if (enable[port] && !(HOLDS && written[port] != 0))
                    for (n = 0; n < READS; n = n + 1) begin
                        index = from + n;
                        own = index - into[port];
                        other = index - into[1-port];
                        word = words[index];
                        if (SHOWS_NEW && own < MOST && written[port][own[5:0] % MOST]) word = given[port][own[5:0] % MOST];
                        if (!OTHER_SHOWS_OLD && other < MOST && written[1-port][other[5:0] % MOST]) word = ~word;
                        shown[port][n*PIECE +: PIECE] <= word[PIECE-1:0];
                        if (PIECE == 8) shown[port][2*HALF+n*PIECE/8] <= word[PIECE];
                    end
            end
        end
    endgenerate
endmodule

module RAMB18E2 #(
    parameter integer READ_WIDTH_A = 0, parameter integer READ_WIDTH_B = 0,
    parameter integer WRITE_WIDTH_A = 0, parameter integer WRITE_WIDTH_B = 0,
    parameter WRITE_MODE_A = "NO_CHANGE", parameter WRITE_MODE_B = "NO_CHANGE",
    parameter integer DOA_REG = 1, parameter integer DOB_REG = 1,
    parameter CASCADE_ORDER_A = "NONE", parameter CASCADE_ORDER_B = "NONE", parameter SLEEP_ASYNC = "FALSE",
    parameter [17:0] INIT_A = 0, parameter [17:0] INIT_B = 0,
    parameter [17:0] SRVAL_A = 0, parameter [17:0] SRVAL_B = 0,
    parameter [255:0] INIT_00 = 0, INIT_01 = 0, INIT_02 = 0, INIT_03 = 0, INIT_04 = 0, INIT_05 = 0, INIT_06 = 0, INIT_07 = 0,
        INIT_08 = 0, INIT_09 = 0, INIT_0A = 0, INIT_0B = 0, INIT_0C = 0, INIT_0D = 0, INIT_0E = 0, INIT_0F = 0,
        INIT_10 = 0, INIT_11 = 0, INIT_12 = 0, INIT_13 = 0, INIT_14 = 0, INIT_15 = 0, INIT_16 = 0, INIT_17 = 0,
        INIT_18 = 0, INIT_19 = 0, INIT_1A = 0, INIT_1B = 0, INIT_1C = 0, INIT_1D = 0, INIT_1E = 0, INIT_1F = 0,
        INIT_20 = 0, INIT_21 = 0, INIT_22 = 0, INIT_23 = 0, INIT_24 = 0, INIT_25 = 0, INIT_26 = 0, INIT_27 = 0,
        INIT_28 = 0, INIT_29 = 0, INIT_2A = 0, INIT_2B = 0, INIT_2C = 0, INIT_2D = 0, INIT_2E = 0, INIT_2F = 0,
        INIT_30 = 0, INIT_31 = 0, INIT_32 = 0, INIT_33 = 0, INIT_34 = 0, INIT_35 = 0, INIT_36 = 0, INIT_37 = 0,
        INIT_38 = 0, INIT_39 = 0, INIT_3A = 0, INIT_3B = 0, INIT_3C = 0, INIT_3D = 0, INIT_3E = 0, INIT_3F = 0,
        INITP_00 = 0, INITP_01 = 0, INITP_02 = 0, INITP_03 = 0, INITP_04 = 0, INITP_05 = 0, INITP_06 = 0, INITP_07 = 0
) (
    input wire CLKARDCLK, input wire CLKBWRCLK, input wire ENARDEN, input wire ENBWREN,
    input wire REGCEAREGCE, input wire REGCEB, input wire ADDRENA, input wire ADDRENB, input wire SLEEP,
    input wire RSTRAMARSTRAM, input wire RSTRAMB, input wire RSTREGARSTREG, input wire RSTREGB,
    input wire [1:0] WEA, input wire [3:0] WEBWE,
    input wire [13:0] ADDRARDADDR, input wire [13:0] ADDRBWRADDR,
    input wire [15:0] DINADIN, input wire [15:0] DINBDIN,
    input wire [1:0] DINPADINP, input wire [1:0] DINPBDINP,
    output wire [15:0] DOUTADOUT, output wire [15:0] DOUTBDOUT,
    output wire [1:0] DOUTPADOUTP, output wire [1:0] DOUTPBDOUTP
);
    // Across both data ports, port A only reads and port B only writes.
    localparam integer WIDE = 36;
    wire [31:0] out_a, out_b;
    wire [3:0] parity_a, parity_b;
    assign DOUTADOUT = out_a[15:0];
    assign DOUTPADOUTP = parity_a[1:0];
    assign DOUTBDOUT = READ_WIDTH_A == WIDE ? out_a[31:16] : out_b[15:0];
    assign DOUTPBDOUTP = READ_WIDTH_A == WIDE ? parity_a[3:2] : parity_b[1:0];
    ramb_e2 #(
        .ADDRESS_BITS(14), .HALF(16),
        .READ_WIDTH_A(READ_WIDTH_A), .READ_WIDTH_B(READ_WIDTH_B), .WRITE_WIDTH_A(WRITE_WIDTH_A), .WRITE_WIDTH_B(WRITE_WIDTH_B),
        .WRITE_MODE_A(WRITE_MODE_A), .WRITE_MODE_B(WRITE_MODE_B), .IS_PLAIN(
            DOA_REG == 0 && DOB_REG == 0 && CASCADE_ORDER_A == "NONE" && CASCADE_ORDER_B == "NONE" && SLEEP_ASYNC == "FALSE"),
        .FIRST_A({INIT_B, INIT_A}), .FIRST_B(INIT_B), .RESET_A({SRVAL_B, SRVAL_A}), .RESET_B(SRVAL_B),
        .DATA({
        INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39, INIT_38,
        INIT_37, INIT_36, INIT_35, INIT_34, INIT_33, INIT_32, INIT_31, INIT_30,
        INIT_2F, INIT_2E, INIT_2D, INIT_2C, INIT_2B, INIT_2A, INIT_29, INIT_28,
        INIT_27, INIT_26, INIT_25, INIT_24, INIT_23, INIT_22, INIT_21, INIT_20,
        INIT_1F, INIT_1E, INIT_1D, INIT_1C, INIT_1B, INIT_1A, INIT_19, INIT_18,
        INIT_17, INIT_16, INIT_15, INIT_14, INIT_13, INIT_12, INIT_11, INIT_10,
        INIT_0F, INIT_0E, INIT_0D, INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08,
        INIT_07, INIT_06, INIT_05, INIT_04, INIT_03, INIT_02, INIT_01, INIT_00}),
        .PARITY({
        INITP_07, INITP_06, INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00})
    ) memory (
        .clk_a(CLKARDCLK), .clk_b(CLKBWRCLK), .enable_a(ENARDEN & ADDRENA), .enable_b(ENBWREN & ADDRENB),
        .reset_a(RSTRAMARSTRAM), .reset_b(RSTRAMB), .address_a(ADDRARDADDR), .address_b(ADDRBWRADDR),
        .write_a({2'b0, WEA}), .write_b(WEBWE),
        .data_a({16'b0, DINADIN}), .parity_a({2'b0, DINPADINP}),
        .data_b(WRITE_WIDTH_B == WIDE ? {DINBDIN, DINADIN} : {16'b0, DINBDIN}),
        .parity_b(WRITE_WIDTH_B == WIDE ? {DINPBDINP, DINPADINP} : {2'b0, DINPBDINP}),
        .read_a(out_a), .read_parity_a(parity_a), .read_b(out_b), .read_parity_b(parity_b)
    );
endmodule

module RAMB36E2 #(
    parameter integer READ_WIDTH_A = 0, parameter integer READ_WIDTH_B = 0,
    parameter integer WRITE_WIDTH_A = 0, parameter integer WRITE_WIDTH_B = 0,
    parameter WRITE_MODE_A = "NO_CHANGE", parameter WRITE_MODE_B = "NO_CHANGE",
    parameter integer DOA_REG = 1, parameter integer DOB_REG = 1,
    parameter CASCADE_ORDER_A = "NONE", parameter CASCADE_ORDER_B = "NONE", parameter SLEEP_ASYNC = "FALSE",
    parameter [35:0] INIT_A = 0, parameter [35:0] INIT_B = 0,
    parameter [35:0] SRVAL_A = 0, parameter [35:0] SRVAL_B = 0,
    parameter [255:0] INIT_00 = 0, INIT_01 = 0, INIT_02 = 0, INIT_03 = 0, INIT_04 = 0, INIT_05 = 0, INIT_06 = 0, INIT_07 = 0,
        INIT_08 = 0, INIT_09 = 0, INIT_0A = 0, INIT_0B = 0, INIT_0C = 0, INIT_0D = 0, INIT_0E = 0, INIT_0F = 0,
        INIT_10 = 0, INIT_11 = 0, INIT_12 = 0, INIT_13 = 0, INIT_14 = 0, INIT_15 = 0, INIT_16 = 0, INIT_17 = 0,
        INIT_18 = 0, INIT_19 = 0, INIT_1A = 0, INIT_1B = 0, INIT_1C = 0, INIT_1D = 0, INIT_1E = 0, INIT_1F = 0,
        INIT_20 = 0, INIT_21 = 0, INIT_22 = 0, INIT_23 = 0, INIT_24 = 0, INIT_25 = 0, INIT_26 = 0, INIT_27 = 0,
        INIT_28 = 0, INIT_29 = 0, INIT_2A = 0, INIT_2B = 0, INIT_2C = 0, INIT_2D = 0, INIT_2E = 0, INIT_2F = 0,
        INIT_30 = 0, INIT_31 = 0, INIT_32 = 0, INIT_33 = 0, INIT_34 = 0, INIT_35 = 0, INIT_36 = 0, INIT_37 = 0,
        INIT_38 = 0, INIT_39 = 0, INIT_3A = 0, INIT_3B = 0, INIT_3C = 0, INIT_3D = 0, INIT_3E = 0, INIT_3F = 0,
        INIT_40 = 0, INIT_41 = 0, INIT_42 = 0, INIT_43 = 0, INIT_44 = 0, INIT_45 = 0, INIT_46 = 0, INIT_47 = 0,
        INIT_48 = 0, INIT_49 = 0, INIT_4A = 0, INIT_4B = 0, INIT_4C = 0, INIT_4D = 0, INIT_4E = 0, INIT_4F = 0,
        INIT_50 = 0, INIT_51 = 0, INIT_52 = 0, INIT_53 = 0, INIT_54 = 0, INIT_55 = 0, INIT_56 = 0, INIT_57 = 0,
        INIT_58 = 0, INIT_59 = 0, INIT_5A = 0, INIT_5B = 0, INIT_5C = 0, INIT_5D = 0, INIT_5E = 0, INIT_5F = 0,
        INIT_60 = 0, INIT_61 = 0, INIT_62 = 0, INIT_63 = 0, INIT_64 = 0, INIT_65 = 0, INIT_66 = 0, INIT_67 = 0,
        INIT_68 = 0, INIT_69 = 0, INIT_6A = 0, INIT_6B = 0, INIT_6C = 0, INIT_6D = 0, INIT_6E = 0, INIT_6F = 0,
        INIT_70 = 0, INIT_71 = 0, INIT_72 = 0, INIT_73 = 0, INIT_74 = 0, INIT_75 = 0, INIT_76 = 0, INIT_77 = 0,
        INIT_78 = 0, INIT_79 = 0, INIT_7A = 0, INIT_7B = 0, INIT_7C = 0, INIT_7D = 0, INIT_7E = 0, INIT_7F = 0,
        INITP_00 = 0, INITP_01 = 0, INITP_02 = 0, INITP_03 = 0, INITP_04 = 0, INITP_05 = 0, INITP_06 = 0, INITP_07 = 0,
        INITP_08 = 0, INITP_09 = 0, INITP_0A = 0, INITP_0B = 0, INITP_0C = 0, INITP_0D = 0, INITP_0E = 0, INITP_0F = 0
) (
    input wire CLKARDCLK, input wire CLKBWRCLK, input wire ENARDEN, input wire ENBWREN,
    input wire REGCEAREGCE, input wire REGCEB, input wire ADDRENA, input wire ADDRENB, input wire SLEEP,
    input wire RSTRAMARSTRAM, input wire RSTRAMB, input wire RSTREGARSTREG, input wire RSTREGB,
    input wire [3:0] WEA, input wire [7:0] WEBWE,
    input wire [14:0] ADDRARDADDR, input wire [14:0] ADDRBWRADDR,
    input wire [31:0] DINADIN, input wire [31:0] DINBDIN,
    input wire [3:0] DINPADINP, input wire [3:0] DINPBDINP,
    output wire [31:0] DOUTADOUT, output wire [31:0] DOUTBDOUT,
    output wire [3:0] DOUTPADOUTP, output wire [3:0] DOUTPBDOUTP
);
    // Across both data ports, port A only reads and port B only writes.
    localparam integer WIDE = 72;
    wire [63:0] out_a, out_b;
    wire [7:0] parity_a, parity_b;
    assign DOUTADOUT = out_a[31:0];
    assign DOUTPADOUTP = parity_a[3:0];
    assign DOUTBDOUT = READ_WIDTH_A == WIDE ? out_a[63:32] : out_b[31:0];
    assign DOUTPBDOUTP = READ_WIDTH_A == WIDE ? parity_a[7:4] : parity_b[3:0];
    ramb_e2 #(
        .ADDRESS_BITS(15), .HALF(32),
        .READ_WIDTH_A(READ_WIDTH_A), .READ_WIDTH_B(READ_WIDTH_B), .WRITE_WIDTH_A(WRITE_WIDTH_A), .WRITE_WIDTH_B(WRITE_WIDTH_B),
        .WRITE_MODE_A(WRITE_MODE_A), .WRITE_MODE_B(WRITE_MODE_B), .IS_PLAIN(
            DOA_REG == 0 && DOB_REG == 0 && CASCADE_ORDER_A == "NONE" && CASCADE_ORDER_B == "NONE" && SLEEP_ASYNC == "FALSE"),
        .FIRST_A({INIT_B, INIT_A}), .FIRST_B(INIT_B), .RESET_A({SRVAL_B, SRVAL_A}), .RESET_B(SRVAL_B),
        .DATA({
        INIT_7F, INIT_7E, INIT_7D, INIT_7C, INIT_7B, INIT_7A, INIT_79, INIT_78,
        INIT_77, INIT_76, INIT_75, INIT_74, INIT_73, INIT_72, INIT_71, INIT_70,
        INIT_6F, INIT_6E, INIT_6D, INIT_6C, INIT_6B, INIT_6A, INIT_69, INIT_68,
        INIT_67, INIT_66, INIT_65, INIT_64, INIT_63, INIT_62, INIT_61, INIT_60,
        INIT_5F, INIT_5E, INIT_5D, INIT_5C, INIT_5B, INIT_5A, INIT_59, INIT_58,
        INIT_57, INIT_56, INIT_55, INIT_54, INIT_53, INIT_52, INIT_51, INIT_50,
        INIT_4F, INIT_4E, INIT_4D, INIT_4C, INIT_4B, INIT_4A, INIT_49, INIT_48,
        INIT_47, INIT_46, INIT_45, INIT_44, INIT_43, INIT_42, INIT_41, INIT_40,
        INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39, INIT_38,
        INIT_37, INIT_36, INIT_35, INIT_34, INIT_33, INIT_32, INIT_31, INIT_30,
        INIT_2F, INIT_2E, INIT_2D, INIT_2C, INIT_2B, INIT_2A, INIT_29, INIT_28,
        INIT_27, INIT_26, INIT_25, INIT_24, INIT_23, INIT_22, INIT_21, INIT_20,
        INIT_1F, INIT_1E, INIT_1D, INIT_1C, INIT_1B, INIT_1A, INIT_19, INIT_18,
        INIT_17, INIT_16, INIT_15, INIT_14, INIT_13, INIT_12, INIT_11, INIT_10,
        INIT_0F, INIT_0E, INIT_0D, INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08,
        INIT_07, INIT_06, INIT_05, INIT_04, INIT_03, INIT_02, INIT_01, INIT_00}),
        .PARITY({
        INITP_0F, INITP_0E, INITP_0D, INITP_0C, INITP_0B, INITP_0A, INITP_09, INITP_08,
        INITP_07, INITP_06, INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00})
    ) memory (
        .clk_a(CLKARDCLK), .clk_b(CLKBWRCLK), .enable_a(ENARDEN & ADDRENA), .enable_b(ENBWREN & ADDRENB),
        .reset_a(RSTRAMARSTRAM), .reset_b(RSTRAMB), .address_a(ADDRARDADDR), .address_b(ADDRBWRADDR),
        .write_a({4'b0, WEA}), .write_b(WEBWE),
        .data_a({32'b0, DINADIN}), .parity_a({4'b0, DINPADINP}),
        .data_b(WRITE_WIDTH_B == WIDE ? {DINBDIN, DINADIN} : {32'b0, DINBDIN}),
        .parity_b(WRITE_WIDTH_B == WIDE ? {DINPBDINP, DINPADINP} : {4'b0, DINPBDINP}),
        .read_a(out_a), .read_parity_a(parity_a), .read_b(out_b), .read_parity_b(parity_b)
    );
endmodule

// Streams every operand through both DSPs of a column, products apart and added, and compares with a * b; once more
// through a circuit that is known to be wrong.
module check #(parameter IS_BROKEN = 0) (output integer checked, output integer wrong);
    localparam int OPERANDS = 1 << 21;
    localparam int STEPS = 2 * OPERANDS;
    reg clk = 0;
    reg [21:0] index = 0;
    // An odd multiplier takes each operand of the second DSP once, in another order.
    wire [20:0] first = index[20:0];
    wire [20:0] second = 21'(index[20:0] * 21'd1234567 + 21'd7);
    wire apart = index[21];
    wire signed [19:0] low, high, low_after, high_after;
    generate
        if (IS_BROKEN == 0) begin : right
            products dut (
                .clk(clk), .rst(1'b0), .apart(apart),
                .first_low(first[7:0]), .first_high(first[15:8]), .first_code(first[20:16]),
                .second_low(second[7:0]), .second_high(second[15:8]), .second_code(second[20:16]),
                .low(low), .high(high), .low_after(low_after), .high_after(high_after)
            );
        end else begin : changed
            broken dut (
                .clk(clk), .rst(1'b0), .apart(apart),
                .first_low(first[7:0]), .first_high(first[15:8]), .first_code(first[20:16]),
                .second_low(second[7:0]), .second_high(second[15:8]), .second_code(second[20:16]),
                .low(low), .high(high), .low_after(low_after), .high_after(high_after)
            );
        end
    endgenerate
    function automatic integer product(input [7:0] x, input [4:0] code);
        return $signed(x) * $signed(code);
    endfunction
    integer want_low [0:4], want_high [0:4], after_low [0:4], after_high [0:4];
    integer step, i;
    initial begin
        checked = 0;
        wrong = 0;
        for (step = 0; step < STEPS + 4; step = step + 1) begin
            #1;
            want_low[0] = product(first[7:0], first[20:16]);
            want_high[0] = product(first[15:8], first[20:16]);
            after_low[0] = product(second[7:0], second[20:16]) + (apart ? 0 : want_low[0]);
            after_high[0] = product(second[15:8], second[20:16]) + (apart ? 0 : want_high[0]);
            if (step >= 3 && step < STEPS + 3 && ($signed(low) != want_low[3] || $signed(high) != want_high[3])) wrong = wrong + 1;
            if (step >= 4) begin
                checked = checked + 1;
                if ($signed(low_after) != after_low[4] || $signed(high_after) != after_high[4]) wrong = wrong + 1;
            end
            for (i = 4; i > 0; i = i - 1) begin
                want_low[i] = want_low[i-1];
                want_high[i] = want_high[i-1];
                after_low[i] = after_low[i-1];
                after_high[i] = after_high[i-1];
            end
            clk = 1;
            #1;
            clk = 0;
            index = index + 1;
        end
    end
endmodule

// Each pair of nibbles with each coefficient, by itself; then sums of the largest, the smallest and changing products, with
// pauses.
module check_sums #(parameter IS_CARELESS = 0) (output integer checked, output integer wrong);
    localparam int OPERANDS = 1 << 16;
    localparam int SUMS = 1 << 14;
    reg clk = 0;
    reg [3:0] low_nibble, high_nibble;
    reg [7:0] coefficient;
    reg compute, start;
    wire signed [25:0] low, high, low_after, high_after;
    generate
        if (IS_CARELESS == 0) begin : right
            accumulators dut (
                .clk(clk), .rst(1'b0), .low_nibble(low_nibble), .high_nibble(high_nibble), .coefficient(coefficient),
                .compute(compute), .start(start), .low(low), .high(high), .low_after(low_after), .high_after(high_after)
            );
        end else begin : changed
            careless dut (
                .clk(clk), .rst(1'b0), .low_nibble(low_nibble), .high_nibble(high_nibble), .coefficient(coefficient),
                .compute(compute), .start(start), .low(low), .high(high), .low_after(low_after), .high_after(high_after)
            );
        end
    endgenerate
    integer want_low [0:4], want_high [0:4];
    integer step, i, turn;
    initial begin
        checked = 0;
        wrong = 0;
        for (i = 0; i < 5; i = i + 1) begin
            want_low[i] = 0;
            want_high[i] = 0;
        end
        for (step = 0; step < OPERANDS + SUMS + 4; step = step + 1) begin
            turn = step - OPERANDS;
            if (turn < 0) begin
                {low_nibble, high_nibble, coefficient} = step[15:0];
                compute = 1;
                start = 1;
            end else begin
                // A quarter of the steps each: upwards, downwards, and twice a mixture.
                coefficient = turn < SUMS / 4 ? 8'd127 : turn < SUMS / 2 ? 8'h80 : 8'(turn * 77 >> 2);
                low_nibble = turn < SUMS / 2 ? 4'd15 : 4'(turn * 13 >> 1);
                high_nibble = turn < SUMS / 2 ? 4'd15 : 4'(turn * 29 >> 3);
                compute = turn % 7 != 3;
                start = turn % (SUMS / 4) == 0;
            end
            if (compute) begin
                want_low[0] = (start ? 0 : want_low[0]) + int'(low_nibble) * $signed(coefficient);
                want_high[0] = (start ? 0 : want_high[0]) + int'(high_nibble) * $signed(coefficient);
            end
            #1;
            if (step >= 4) begin
                checked = checked + 1;
                if (int'(low) != want_low[3] || int'(high) != want_high[3]) wrong = wrong + 1;
                else if (int'(low_after) != want_low[4] || int'(high_after) != want_high[4]) wrong = wrong + 1;
            end
            for (i = 4; i > 0; i = i - 1) begin
                want_low[i] = want_low[i-1];
                want_high[i] = want_high[i-1];
            end
            clk = 1;
            #1;
            clk = 0;
        end
    end
endmodule

module bench;
    integer checked, wrong, broken_checked, broken_wrong;
    integer sums_checked, sums_wrong, careless_checked, careless_wrong;
    check_sums sums (.checked(sums_checked), .wrong(sums_wrong));
    check_sums #(.IS_CARELESS(1)) careless_sums (.checked(careless_checked), .wrong(careless_wrong));
    check right (.checked(checked), .wrong(wrong));
    check #(.IS_BROKEN(1)) changed (.checked(broken_checked), .wrong(broken_wrong));
    initial begin
        // Each step takes two units of time.
        #(2 * (1 << 22) + 100);
        $display("products: %0d steps, %0d wrong", checked, wrong);
        $display("broken: %0d steps, %0d wrong", broken_checked, broken_wrong);
        $display("accumulators: %0d steps, %0d wrong", sums_checked, sums_wrong);
        $display("careless: %0d steps, %0d wrong", careless_checked, careless_wrong);
        $finish;
    end
endmodule
